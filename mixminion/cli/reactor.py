"""Running a command's asynchronous part in the reactor."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

T = TypeVar("T")


_GRACE = 3.0
"""Seconds that the work has to end itself when a signal interrupts it."""


def run(work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    """The result of ``work(reactor)``; what it raises is raised.

    :raises KeyboardInterrupt: a signal stopped the reactor before that; the work was
        cancelled.
    """
    from twisted.internet import reactor as installed
    from twisted.internet.defer import CancelledError, Deferred
    from twisted.internet.error import ReactorNotRunning

    reactor: Any = installed
    results: list[T] = []
    errors: list[Failure] = []

    def begin() -> None:
        working = Deferred.fromCoroutine(work(reactor))
        ended = working.addCallbacks(results.append, errors.append)
        reactor.addSystemEventTrigger("before", "shutdown", interrupt, working)
        _ = ended.addCallback(lambda _: stop())

    def stop() -> None:
        with suppress(ReactorNotRunning):  # a signal stopped it already
            reactor.stop()

    def interrupt(working: Deferred[Any]) -> Deferred[Any] | None:
        if results or errors:
            return None
        working.cancel()
        return working.addTimeout(_GRACE, reactor).addErrback(lambda _: None)

    reactor.callWhenRunning(begin)
    reactor.run()
    if errors and not errors[0].check(CancelledError):
        errors[0].raiseException()
    if not results:
        raise KeyboardInterrupt
    return results[0]


def confirm(question: str) -> bool | None:
    """What the person at the terminal says to *question* while the reactor runs and waits for
    nothing else; None where nobody answers.

    :raises KeyboardInterrupt: Control-C, which the reactor would only note.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return click.confirm(question, err=True)
    except click.Abort as abort:
        if isinstance(abort.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        return None
    finally:
        signal.signal(signal.SIGINT, before)
        if not sys.stdin.isatty():  # nobody's Enter has ended the line
            click.echo(err=True)


def now() -> float:
    """The time, for commands that need no running reactor; Unix seconds."""
    from twisted.internet import reactor as installed

    reactor: Any = installed
    return float(reactor.seconds())


async def sleep(seconds: float) -> None:
    """Let the reactor run for so long."""
    from twisted.internet import reactor as installed
    from twisted.internet.task import deferLater

    reactor: Any = installed
    await deferLater(reactor, seconds)
