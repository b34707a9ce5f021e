"""``mixminion authority stop``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.app import authority_configuration as configuration
from mixminion.cli import daemons
from mixminion.cli.home import authority_option


@click.command()
@authority_option
@click.option(
    "--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait for its end."
)
def command(path: Path, timeout: float) -> None:
    """Stop the authority, and wait until it has ended.

    It goes on where it was when it is started again, in the middle of an exchange, too.
    """
    daemons.stop("authority", configuration.places_of_running(path), timeout)
    click.echo("The authority has stopped.")
