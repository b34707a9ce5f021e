"""``mixminion authority unban``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.cli.deciding import decide, name_argument
from mixminion.cli.home import authority_option
from mixminion.cli.output import json_option


@click.command()
@name_argument
@authority_option
@json_option
def command(path: Path, name: str, as_json: bool) -> None:
    """Take a ban or a rejection of the server NAME back.

    It is as if it were new: with `policy = manual` it waits for approval.
    """
    decide(path, name, "none", "Took back what was decided about", as_json=as_json)
