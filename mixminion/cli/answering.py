"""``mixminion send -R``: what goes with it, and the reply blocks in its file."""

from __future__ import annotations

from collections.abc import Mapping

import click

from mixminion.cli import given
from mixminion.client import blocks_text
from mixminion.client.reply_errors import NoBlocks


def check(answered: str | None, source: str, others: Mapping[str, object], *, again: bool) -> None:
    """UsageError for options that do not go together; *others* are those of a message to an
    address, by name."""
    if answered is None:
        if again:
            raise click.UsageError("--again goes with -R.")
        if not others["-t"]:
            raise click.UsageError("Say to whom: --to ADDRESS, or -R FILE for an answer.")
        return
    for name, value in others.items():
        if value:
            raise click.UsageError(f"An answer (-R) goes where its reply block leads: no {name}.")
    if answered == source == given.STANDARD_INPUT:
        raise click.UsageError("-R - takes standard input, so that the answer needs -i FILE.")


def blocks(source: str) -> list[bytes]:
    """The reply blocks in a file.

    :raises BadInput: it cannot be read.
    :raises NoBlocks: it has none.
    """
    found = blocks_text.find(given.read(source, "Paste the message with its reply block"))
    if not found:
        raise NoBlocks(name="standard input" if source == given.STANDARD_INPUT else source)
    return found
