"""``mixminion directory``: what is held of the directory, and whether it can be believed."""

from __future__ import annotations

import click

from mixminion.cli.lazy import LazyGroup

COMMANDS = {
    "show": "Show the directory that is held, who signed it, and what is wrong with it.",
    "diff": "Show what changed from one directory to another.",
    "verify": "Say whether enough authorities signed the directory in a file.",
}


@click.group(cls=LazyGroup, table=COMMANDS, prefix="mixminion.cli.directory_")
def command() -> None:
    """Look at the network's directory."""
