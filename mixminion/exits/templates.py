"""The texts that people outside read: shipped with the program, and an operator's own instead.

A text has ``$name`` where something is put in; ``$$`` is a dollar sign.  In HTML what is put in is
quoted.
"""

from __future__ import annotations

import html
import string
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

from mixminion.config import ConfigErrors, Position, Problem
from mixminion.disk import private
from mixminion.errors import MixminionError, render

LONGEST = 65_536
"""Octets of one text."""

NAMES: Mapping[str, frozenset[str]] = {
    "opt-out.html": frozenset({"domain", "contact"}),
    "opted-out.html": frozenset({"domain", "contact"}),
    "unknown.html": frozenset({"domain", "contact"}),
    "busy.html": frozenset({"domain", "contact"}),
    "footer.txt": frozenset({"domain", "contact", "link"}),
    "confirm.txt": frozenset({"domain", "contact", "address"}),
}
"""Every text, with what may be put into it."""

_NEEDED: Mapping[str, frozenset[str]] = {"footer.txt": frozenset({"link"})}


class Templates:
    """The texts of one server."""

    def __init__(self, texts: Mapping[str, string.Template]) -> None:
        self._texts = texts

    def fill(self, name: str, **values: str) -> str:
        """The text *name* with *values* in it."""
        if name.endswith(".html"):
            values = {key: html.escape(value) for key, value in values.items()}
        return self._texts[name].substitute(values)


def read(folder: Path | None) -> Templates:
    """The texts in *folder*, and for those that it does not have the shipped ones.

    :raises ConfigErrors: everything that is wrong with them.
    """
    texts, problems = {}, []
    for name in NAMES:
        shipped = files("mixminion.exits").joinpath("texts", name).read_text("utf-8")
        text, path = shipped, None
        if folder is not None:
            path = folder / name
            try:
                text = _own(path, shipped)
            except ValueError as error:
                problems.append(Problem(Position(str(path), 0), "", str(error)))
                continue
        texts[name] = string.Template(text)
        problems += [
            Problem(Position(str(path), line), "", expected)
            for line, expected in _complaints(name, text)
        ]
    if folder is not None and not folder.is_dir():
        problems.append(Problem(Position(str(folder), 0), "", "there is no such folder"))
    if problems:
        raise ConfigErrors(problems)
    return Templates(texts)


def _own(path: Path, shipped: str) -> str:
    """What is in the operator's file; a ValueError says why it cannot be used."""
    try:
        private.check_unchangeable(path)
        octets = path.read_bytes()
        if len(octets) > LONGEST:
            raise ValueError(f"expected at most {LONGEST // 1024} KiB")
        return octets.decode("utf-8")
    except FileNotFoundError:
        return shipped
    except UnicodeDecodeError:
        raise ValueError("expected UTF-8") from None
    except MixminionError as error:
        raise ValueError(render(error)) from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None


def _complaints(name: str, text: str) -> Iterator[tuple[int, str]]:
    """Line and expectation of what is wrong in a text; line 0 is the text as a whole."""
    known = NAMES[name]
    used = set()
    for number, line in enumerate(text.split("\n"), 1):
        for found in string.Template.pattern.finditer(line):
            word = found["named"] or found["braced"]
            if word in known:
                used.add(word)
            elif found["escaped"] is None:
                words = ", ".join(f"${each}" for each in sorted(known))
                yield number, f"{found[0]} is nothing that can be put in: expected {words} or $$"
    for word in sorted(_NEEDED.get(name, frozenset()) - used):
        yield 0, f"expected ${word} somewhere in it"
    if name == "opt-out.html" and 'method="post"' not in text.replace("'", '"').lower():
        yield 0, 'expected a form with method="post": only that acts'
