"""Where exits do what blocks: each piece of work in a thread of its own.

A pool would come to a stand once as many folders hang as it has threads; here one that hangs
costs one thread, and whoever waits for it gives up by himself.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

T = TypeVar("T")


class Executor(Protocol):
    """Does work off the reactor."""

    def __call__(self, work: Callable[[], T]) -> Deferred[T]:
        """Fires on the reactor's side with what *work* returns or raises."""


class Threads:
    """The executor of a server.  Its threads are daemons: a process that ends waits for none."""

    def __init__(self, reactor: IReactorFromThreads) -> None:
        self._reactor = reactor

    def __call__(self, work: Callable[[], T]) -> Deferred[T]:
        """See :class:`Executor`."""
        ended: Deferred[T] = Deferred()

        def run() -> None:
            result: Any
            try:
                result = work()
            except Exception:
                result = Failure()
            self._reactor.callFromThread(ended.callback, result)

        Thread(target=run, name="exit", daemon=True).start()
        return ended
