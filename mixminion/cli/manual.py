"""The commands as reStructuredText, for manual pages and the reference: what --help says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence

import click

from mixminion.cli.tree import Words, commands

_SPECIAL = re.compile(r"([*|\\_])")
_CODE = re.compile(r"`([^`]+)`")


def reference(command: click.Command, words: Words, *, titles: str = "-^") -> str:
    """A section for *command*, called by *words*, and one for each command under it; *titles* are
    the characters under a first title and under those of the others."""
    text: list[str] = []
    for found, each in commands(command, words):
        name = " ".join(found)
        text += [name, (titles[0] if found == words else titles[-1]) * len(name), ""]
        text += _page(each, found)
    return "\n".join(text)


def page(command: click.Command, words: Words) -> str:
    """The same without a title for *command* itself: below the one that a page has."""
    text = list(_page(command, words))
    for found, each in list(commands(command, words))[1:]:
        name = " ".join(found)
        text += [name, "-" * len(name), "", *_page(each, found)]
    return "\n".join(text)


def _page(command: click.Command, words: Words) -> Iterator[str]:
    with click.Context(command, info_name=" ".join(words)) as context:
        usage = " ".join(command.collect_usage_pieces(context))
        yield from ("::", "", f"    {' '.join(words)} {usage}", "")
        yield from _paragraphs(inspect.cleandoc(command.help or ""))
        for record in _records(command, context):
            yield from record


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("\b"):
            yield from ("::", "")
            yield from (f"    {line}" for line in paragraph.splitlines()[1:])
        else:
            yield _escaped(" ".join(paragraph.split()))
        yield ""


def _records(command: click.Command, context: click.Context) -> Iterator[Sequence[str]]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            names, text = record
            yield (f"``{names}``", f"    {_escaped(' '.join(text.split())) or '...'}", "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            under = command.get_command(context, name)
            if under is not None and not under.hidden:
                said = under.get_short_help_str(200)
                yield (f"``{name}``", f"    {_escaped(said)}", "")


def _escaped(text: str) -> str:
    """*text* in which nothing is markup but what stands in backquotes, which is code."""
    parts = _CODE.split(text)
    return "".join(
        f"``{part}``" if number % 2 else _SPECIAL.sub(r"\\\1", part)
        for number, part in enumerate(parts)
    )
