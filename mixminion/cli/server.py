"""``mixminion server``: the operators' commands."""

from __future__ import annotations

import click

from mixminion.cli.lazy import LazyGroup

COMMANDS = {
    "init": "Make a server's home: configuration and keys.",
    "start": "Start the server.",
    "stop": "Stop the server.",
    "status": "Show what the server does, and what it needs.",
    "reload": "Have the running server read again who gets no mail.",
    "exit": "Pause exits, test them, block recipients.",
    "publish": "Publish the server now, and show what the authorities say.",
    "update": "Fetch the directory for a server that does not run.",
    "certify": "Make a new signing key with the identity key.",
    "change-passphrase": "Protect keys by another passphrase.",
    "rotate-keys": "Replace packet keys that are not in use yet.",
    "delete-keys": "Erase the packet keys of a server that does not run.",
    "check-config": "Check configuration, files and keys.",
    "check-store": "Check the store of a server that does not run.",
    "dump-config": "Show every value, and where it comes from.",
}


@click.group(cls=LazyGroup, table=COMMANDS, prefix="mixminion.cli.server_")
def command() -> None:
    """Set up and run a server."""
