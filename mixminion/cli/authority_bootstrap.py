"""``mixminion authority bootstrap``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.app import authority_configuration as configuration
from mixminion.cli.home import authority_option
from mixminion.errors import UserError


@click.command()
@click.option("--name", required=True, help="What people call the network.")
@authority_option
def command(path: Path, name: str) -> None:
    """Print the file with which people join the network.

    It has all authorities of the configuration.  Publish it where people can compare it, and the
    fingerprints of its keys.
    """
    if not name.isprintable() or len(name) > 64:
        raise UserError(problem="A network's name is a text of at most 64 characters.")
    click.echo(configuration.bootstrap(configuration.load(path), name).text(), nl=False)
