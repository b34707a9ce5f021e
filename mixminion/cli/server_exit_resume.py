"""``mixminion server exit resume``."""

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
    """Let these exits hand over again, all when none is named."""
    answer = ask_server(path, "exit-pause", names=list(names), paused=False)
    lines = [f"Goes on: {', '.join(answer['exits']) or 'none, this server has no exit'}."]
    print_result(answer, lines, as_json=as_json)
