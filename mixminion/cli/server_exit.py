"""``mixminion server exit``: what an exit's operator needs at once."""

from __future__ import annotations

import click

from mixminion.cli.lazy import LazyGroup

COMMANDS = {
    "pause": "Hand nothing over from now on; what comes waits.",
    "resume": "Hand over again.",
    "blocked": "Show and change who gets no mail.",
    "dns": "Print the DNS records that an exit needs.",
    "check": "Look those records up, and ask block lists.",
    "test": "Send one mail, and show what came of it.",
}


@click.group(cls=LazyGroup, table=COMMANDS, prefix="mixminion.cli.server_exit_")
def command() -> None:
    """Pause exits, test them, block recipients."""
