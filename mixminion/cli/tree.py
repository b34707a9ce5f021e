"""All commands, for what is made of them: manual pages, the reference, tests."""

from __future__ import annotations

from collections.abc import Iterator

import click

Words = tuple[str, ...]


def commands(
    command: click.Command, words: Words = ("mixminion",)
) -> Iterator[tuple[Words, click.Command]]:
    """*command*, called by *words*, and all commands under it; groups too."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=" ".join(words))
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from commands(found, (*words, name))
