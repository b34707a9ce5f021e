"""``mixminion authority approve``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.cli.deciding import decide, name_argument
from mixminion.cli.home import authority_option
from mixminion.cli.output import json_option


@click.command()
@name_argument
@click.option("--exit", is_flag=True, help="It may be an exit at once.")
@authority_option
@json_option
def command(path: Path, name: str, exit: bool, as_json: bool) -> None:
    """Let the server NAME in: it is listed once its addresses answer.

    NAME is a nickname, or an identity in 64 hexadecimal digits, which need not have been seen yet.
    """
    decide(path, name, "approved", "Approved", exit=exit, as_json=as_json)
