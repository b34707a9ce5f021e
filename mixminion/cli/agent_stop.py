"""``mixminion agent stop``."""

from __future__ import annotations

import click

from mixminion import api
from mixminion.cli import daemons, owner
from mixminion.cli.client import config_option


@click.command()
@click.option(
    "--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait for its end."
)
@config_option
def command(config: api.Config, timeout: float) -> None:
    """Stop the agent, and wait until it has ended.

    What has not left stays kept.
    """
    daemons.stop("agent", owner.places(config), timeout)
    click.echo("The agent has stopped.")
