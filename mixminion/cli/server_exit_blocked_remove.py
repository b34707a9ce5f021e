"""``mixminion server exit blocked remove``."""

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
    """Take ADDRESS, or @DOMAIN, off the list."""
    answer = ask_server(path, "exit-unblock", name=address)
    lines = ["Taken off the list." if answer["removed"] else "Is not on the list."]
    if answer["still-blocked"]:
        lines.append("It gets no mail all the same, because of its domain or of a rule.")
    print_result(answer, lines, as_json=as_json)
