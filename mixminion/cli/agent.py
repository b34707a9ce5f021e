"""``mixminion agent``: a client that runs."""

from __future__ import annotations

import click

from mixminion.cli.lazy import LazyGroup

COMMANDS = {
    "start": "Start the agent.",
    "stop": "Stop the agent.",
    "status": "Show what the agent does, and what it needs.",
    "reload": "Have it read its configuration again.",
}


@click.group(cls=LazyGroup, table=COMMANDS, prefix="mixminion.cli.agent_")
def command() -> None:
    """Run a client that sends at random moments, with cover traffic."""
