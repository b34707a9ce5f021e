"""``mixminion server exit blocked add``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.running import ask_server


@click.command()
@click.argument("address")
@server_option
@json_option
def command(path: Path, address: str, as_json: bool) -> None:
    """Send nothing more to ADDRESS, or to @DOMAIN and all domains below it.

    It holds at once, for what is queued too.
    """
    answer = ask_server(path, "exit-block", name=address)
    line = "Gets no mail from now on." if answer["new"] else "Got no mail before."
    print_result(answer, [line], as_json=as_json)
