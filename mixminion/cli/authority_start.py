"""``mixminion authority start``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.app import authority_configuration as configuration
from mixminion.cli import daemons
from mixminion.cli.home import authority_option


@click.command()
@authority_option
@click.option("--foreground", is_flag=True, help="Stay in the foreground; log to the screen.")
@click.option(
    "--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait for it."
)
def command(path: Path, foreground: bool, timeout: float) -> int:
    """Start the authority, and wait until it works."""
    config = configuration.load(path)
    started = daemons.start(
        "authority",
        "mixminion-authority",
        path,
        configuration.places(config),
        configuration.passphrase_source(config),
        foreground=foreground,
        timeout=timeout,
    )
    if isinstance(started, int):
        return started
    pid, _ = started
    click.echo(f"The authority runs, process {pid}.")
    return 0
