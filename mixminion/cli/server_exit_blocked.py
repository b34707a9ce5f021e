"""``mixminion server exit blocked``: who gets no mail."""

from __future__ import annotations

import click

from mixminion.cli.lazy import LazyGroup

COMMANDS = {
    "list": "Show the list, or whether an address is on it.",
    "add": "Block an address or a domain.",
    "remove": "Let an address or a domain have mail again.",
}


@click.group(cls=LazyGroup, table=COMMANDS, prefix="mixminion.cli.server_exit_blocked_")
def command() -> None:
    """Show and change who gets no mail.

    The list has keyed hashes, from which nobody's address can be read.
    """
