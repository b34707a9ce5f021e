"""``mixminion authority``: the commands of a directory authority's operator."""

from __future__ import annotations

import click

from mixminion.cli.lazy import LazyGroup

COMMANDS = {
    "init": "Make an authority's home: configuration and keys.",
    "start": "Start the authority.",
    "stop": "Stop the authority.",
    "status": "Show what the authority does, and what it needs.",
    "servers": "List the servers it knows, with state and reason.",
    "approve": "Let a server in.",
    "reject": "Do not list a server.",
    "ban": "Take nothing from a server any more.",
    "unban": "Take a ban or a rejection back.",
    "reload": "Have it read configuration, signing key and figures again.",
    "bootstrap": "Print the file with which people join the network.",
    "certify": "Make a new signing key with the identity key.",
    "check-config": "Check configuration, files and keys.",
}


@click.group(cls=LazyGroup, table=COMMANDS, prefix="mixminion.cli.authority_")
def command() -> None:
    """Set up and run a directory authority."""
