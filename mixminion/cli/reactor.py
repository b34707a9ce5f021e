"""Running a command's asynchronous part in the reactor."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ReactorNotRunning
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
