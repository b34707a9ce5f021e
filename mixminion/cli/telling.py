"""Where the words of a sender's command go: people read standard error, programs a descriptor.

``-q``, ``-v`` and ``--status-fd`` are the same for all of these commands; they set the
:class:`Telling` of the command that runs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mixminion.cli.bar import Bar
from mixminion.cli.status import Status
from mixminion.errors import MixminionError, render

if TYPE_CHECKING:
    from mixminion import api

F = TypeVar("F", bound=Callable[..., Any])


class Telling:
    """What one command says beside its result."""

    def __init__(self) -> None:
        self.quiet = False
        self.verbose = False
        self.silent = False  #: for those who take every word for an error
        self._status: Status | None = None
        self._bar = Bar()
        self._result: Any = None

    def report_to(self, descriptor: int) -> None:
        """From now on write what happens to *descriptor*, too.

        :raises ValueError: it is not open for writing.
        """
        self._status = Status(descriptor)

    def say(self, line: str, *, always: bool = False) -> None:
        """A line for people; when they want quiet, only what they *always* have to know."""
        if not self.silent and (always or not self.quiet):
            self._bar.clear()
            click.echo(line, err=True)

    def tell(self, event: api.Event, *, details: bool = False) -> None:
        """What happens; with *details* also what is else for ``--verbose`` alone."""
        from mixminion.cli import sentences
        from mixminion.cli.sentences import Weight
        from mixminion.client.events import to_json

        if self._status is not None:
            self._status.write(to_json(event))
        if not self.quiet and not self.silent and self._bar.took(event):
            return
        for sentence in sentences.of(event, verbose=self.verbose):
            if sentence.weight is not Weight.DETAIL or details or self.verbose:
                self.say(sentence.text, always=sentence.weight is Weight.WARNING)

    def keep(self, result: Any) -> None:
        """*result* is what the command has to show, for the last line of the descriptor."""
        self._result = result

    def look_for(self, arguments: Sequence[str]) -> None:
        """Report to the descriptor that *arguments* name, when something wrong in them kept click
        from reading so far."""
        with suppress(ValueError):
            place = list(arguments).index("--status-fd")
            self._status = self._status or Status(int("".join(arguments[place + 1 : place + 2])))

    def end(self, exit_code: int, error: BaseException | None = None) -> None:
        """Write that last line: the command is through, or ended by *error*."""
        self._bar.clear()
        if self._status is None:
            return
        code = sentence = None
        if isinstance(error, MixminionError):
            code, sentence = error.code, render(error)
        elif isinstance(error, click.ClickException):
            code, sentence = "usage", error.format_message()
        elif isinstance(error, click.Abort | KeyboardInterrupt):
            code, sentence = "interrupted", "Interrupted from the keyboard."
        elif error is not None:
            code, sentence = "fault", "Mixminion or this machine failed."
        self._status.write(
            {
                "event": "ended",
                "exit-code": exit_code,
                "error": code,
                "sentence": sentence,
                "result": self._result,
            }
        )
        self._status = None


def current() -> Telling:
    """The one of the command that runs."""
    return click.get_current_context().ensure_object(Telling)


def _status(context: click.Context, option: click.Parameter, number: int | None) -> None:
    if number is None or context.resilient_parsing:
        return
    try:
        context.ensure_object(Telling).report_to(number)
    except ValueError:
        raise click.BadParameter(f"{number} is not open for writing.") from None


def telling_options(function: F) -> F:
    """``-q``, ``-v`` and ``--status-fd``."""

    @click.option("-q", "--quiet", is_flag=True, help="Say nothing unless something goes wrong.")
    @click.option("-v", "--verbose", is_flag=True, help="Say more of what happens.")
    @click.option(
        "--status-fd",
        metavar="NUMBER",
        type=click.IntRange(min=0),
        is_eager=True,
        expose_value=False,
        callback=_status,
        help="Write what happens to this descriptor, too: a line of JSON for each event, the"
        " result or error last.",
    )
    @functools.wraps(function)
    def wrapped(*, quiet: bool, verbose: bool, **arguments: Any) -> Any:
        telling = current()
        telling.quiet, telling.verbose = quiet, verbose
        return function(**arguments)

    return wrapped  # type: ignore[return-value]
