"""``mixminion key``: the keys that messages are encrypted to."""

from __future__ import annotations

import click

from mixminion.cli.lazy import LazyGroup

COMMANDS = {
    "add": "Take a key from a file.",
    "find": "Ask the sources of the configuration for somebody's key.",
    "list": "List the keys of others.",
    "show": "Show somebody's key, and where it is from.",
    "fingerprint": "Show a fingerprint: somebody's, or your own.",
    "verify": "Say that you compared somebody's fingerprint.",
    "trust": "Put a key that came in the place of the one before.",
    "delete": "Forget somebody's key.",
    "export": "Print a key of your own, to be given to others.",
    "file-name": "Print the name under which sources keep a key.",
}


@click.group(cls=LazyGroup, table=COMMANDS, prefix="mixminion.cli.key_")
def command() -> None:
    """Keys of others, to whom you encrypt, and your own."""
