"""``mixminion authority status``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.cli.home import authority_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.running import ask_authority
from mixminion.cli.sheets import lines


@click.command()
@authority_option
@json_option
def command(path: Path, as_json: bool) -> None:
    """Show what the authority does.

    The first line is OK, or the one thing to do.
    """
    status = ask_authority(path, "status")
    print_result(status, lines(status), as_json=as_json)
