"""``mixminion server stop``."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import click

from mixminion.app import configuration
from mixminion.cli.errors import NoServer, StillRunning
from mixminion.cli.home import server_option
from mixminion.cli.waiting import wait_until
from mixminion.control.client import ask
from mixminion.control.errors import NoAnswer, NotRunning
from mixminion.disk import lock


@click.command()
@server_option
@click.option(
    "--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait for its end."
)
def command(path: Path, timeout: float) -> None:
    """Stop the server, and wait until it has ended.

    What it has accepted stays on disk and goes on its way when the server runs again.
    """
    home, control, _ = configuration.places_of_running(path)
    pid = lock.holder(home)
    if pid is None:
        raise NoServer(home=home)
    try:
        ask(control, "stop", timeout=timeout)
    except (NotRunning, NoAnswer):
        if pid:  # the holder of the lock is the server, whoever answers
            os.kill(pid, signal.SIGTERM)
    if not wait_until(lambda: lock.holder(home) is None, timeout):
        raise StillRunning(pid=pid, seconds=timeout)
    click.echo("The server has stopped.")
