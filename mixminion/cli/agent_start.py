"""``mixminion agent start``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion import api
from mixminion.cli import daemons, owner
from mixminion.cli.client import config_option, say
from mixminion.client import configuration, running, sections
from mixminion.disk import private


@click.command()
@click.option("--foreground", is_flag=True, help="Stay in the foreground; log to the screen.")
@click.option(
    "--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait for it."
)
@config_option
def command(config: api.Config, foreground: bool, timeout: float) -> int:
    """Start the agent, and wait until it works.

    From then on packets leave at random points, mail or cover, and mailboxes are visited at others.
    Other commands hand over to it.
    """
    for warning in running.warnings(config[sections.ScheduleSection]):
        say(f"warning: {warning}", always=True)
    private.make_folder(config[configuration.ClientSection].home)
    started = daemons.start(
        "agent",
        "mixminion-agent",
        Path(config.filename),
        owner.places(config),
        None,
        foreground=foreground,
        timeout=timeout,
    )
    if isinstance(started, int):
        return started
    pid, _ = started
    click.echo(f"The agent runs, process {pid}.")
    return 0
