"""``mixminion authority ban``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.cli.deciding import decide, name_argument, note_option
from mixminion.cli.home import authority_option
from mixminion.cli.output import json_option


@click.command()
@name_argument
@note_option
@authority_option
@json_option
def command(path: Path, name: str, note: str, as_json: bool) -> None:
    """Take nothing from the server NAME any more, for ever.

    NAME is a nickname, or an identity in 64 hexadecimal digits, which need not have been seen yet.
    """
    decide(path, name, "banned", "Banned", note=note, as_json=as_json)
