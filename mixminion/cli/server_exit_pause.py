"""``mixminion server exit pause``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.running import ask_server


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@server_option
@json_option
def command(path: Path, names: Sequence[str], as_json: bool) -> None:
    """Hand nothing over by these exits from now on, by all when none is named.

    Messages under way end as they would.  What comes is taken and waits, as long as it would for a
    far side that is away; a restart changes nothing of it.
    """
    answer = ask_server(path, "exit-pause", names=list(names), paused=True)
    lines = [f"Paused: {', '.join(answer['exits']) or 'none, this server has no exit'}."]
    print_result(answer, lines, as_json=as_json)
