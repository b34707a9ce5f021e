"""``mixminion server stop``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.app import configuration
from mixminion.cli import daemons
from mixminion.cli.home import server_option


@click.command()
@server_option
@click.option(
    "--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait for its end."
)
def command(path: Path, timeout: float) -> None:
    """Stop the server, and wait until it has ended.

    What it has accepted stays on disk and goes on its way when the server runs again.
    """
    daemons.stop("server", configuration.places_of_running(path), timeout)
    click.echo("The server has stopped.")
