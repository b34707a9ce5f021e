"""The command line of sendmail(8), as mail programs write it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

_WITH_VALUE = frozenset("ABCDdFfhLMNOopQRrVXb")
"""Options that have a value, behind them or in the next word."""
_ATTACHED = frozenset("bdeoq")
"""Of these and of those in :data:`_ALONE` the value is never the next word."""
_ALONE = frozenset("GinmstUvx") | frozenset("eq")


@dataclass(frozen=True, slots=True)
class Words:
    """What was asked for, as far as it means something here."""

    recipients: tuple[str, ...] = ()
    from_header: bool = False  #: -t
    dots: bool = False  #: -i: a line with a dot alone does not end the message
    verbose: bool = False
    config: str | None = None  #: -C


def read(words: Sequence[str]) -> Words:
    """What *words* say.

    ``-f``, ``-r`` and ``-F`` name a sender, who stays unknown; what says how to queue, to log and
    to report (``-od``, ``-oe``, ``-N``, ``-B``, ...) says it to another kind of program.

    :raises click.UsageError: this program is no mail server, and cannot do that; or a value is
        missing.
    """
    recipients: list[str] = []
    from_header = dots = verbose = False
    config = None
    rest = iter(words)
    for word in rest:
        if word == "--":
            recipients += rest
        elif not word.startswith("-") or word == "-":
            recipients.append(word)
        else:
            for letter, value in _options(word[1:], rest):
                match letter, value:
                    case "t", _:
                        from_header = True
                    case ("i", _) | ("o", "i"):
                        dots = True
                    case "v", _:
                        verbose = True
                    case "C", _:
                        config = value
                    case "b", "m" | "a":
                        pass
                    case ("b" | "q") as letter, _:
                        raise click.UsageError(
                            f"-{letter}{value} is for mail servers; `mixminion queue` shows and"
                            " sends what is kept."
                        )
    return Words(tuple(recipients), from_header, dots, verbose, config)


def _options(letters: str, rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    """The options of a word, each with its value or an empty one."""
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter in _ALONE and letter not in _ATTACHED:
            yield letter, ""
            continue
        if letter not in _WITH_VALUE and letter not in _ATTACHED:
            raise click.UsageError(f"No such option: -{letter}")
        if not letters and letter not in _ATTACHED:
            letters = next(rest, "")
            if not letters:
                raise click.UsageError(f"Option -{letter} needs a value.")
        yield letter, letters
        letters = ""
