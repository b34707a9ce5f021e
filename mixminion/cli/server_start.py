"""``mixminion server start``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.app import configuration
from mixminion.cli import daemons
from mixminion.cli.home import server_option


@click.command()
@server_option
@click.option("--foreground", is_flag=True, help="Stay in the foreground; log to the screen.")
@click.option(
    "--timeout",
    type=float,
    default=60.0,
    show_default=True,
    help="Seconds to wait for a first directory, and then for the server.",
)
def command(path: Path, foreground: bool, timeout: float) -> int:
    """Start the server, and wait until it works.

    Where it has no directory yet, that is fetched first.
    """
    config = configuration.load(path)
    if configuration.lacks_directory(config):
        from mixminion.cli.server_update import fetch  # takes its time to be loaded

        consensus = fetch(config, timeout)
        click.echo(f"Fetched a directory; it lists {len(consensus.servers)} servers.")
    started = daemons.start(
        "server",
        "mixminion",
        path,
        configuration.places(config),
        configuration.passphrase_source(config),
        foreground=foreground,
        timeout=timeout,
    )
    if isinstance(started, int):
        return started
    pid, status = started
    click.echo(f"The server runs, process {pid}.")
    for sentence in status.get("found", []):
        click.echo(sentence)
    return 0
