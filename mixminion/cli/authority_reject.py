"""``mixminion authority reject``."""

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
    """Do not list the server NAME; what it publishes is refused.

    From the next consensus that most authorities make without it, nobody uses it.
    """
    decide(path, name, "rejected", "Rejected", note=note, as_json=as_json)
