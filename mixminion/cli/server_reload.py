"""``mixminion server reload``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.running import ask_server


@click.command()
@server_option
@json_option
def command(path: Path, as_json: bool) -> None:
    """Have the running server read again the files that say who gets no mail, and its texts.

    When something is wrong with one of them nothing changes.  Everything else is read when the
    server starts.
    """
    answer = ask_server(path, "reload")
    files = ", ".join(answer["reloaded"]) or "none; name some with rules in [Abuse]"
    print_result(answer, [f"Read again: {files}"], as_json=as_json)
