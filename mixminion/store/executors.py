"""Where the store's work is done: in the one thread that owns it, or on a virtual clock.

Both take whatever is queued as one group, hand it to ``perform``, and give the whole
group back to the reactor's side at once.  Neither waits for more.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from typing_extensions import override

from mixminion.interfaces import Clock
from mixminion.store.jobs import Job

GROUP_MAX = 512  #: jobs in one group: what one transaction writes stays far below LMDB's limit

Work = Callable[[list[Job]], None]


class Executor(Protocol):
    """Runs jobs in groups, in the order they came."""

    def start(self, perform: Work, deliver: Work) -> None:
        """*perform* does a group's work and must not raise; *deliver* is called after it on
        the reactor's side with the same group."""

    def submit(self, job: Job) -> None:
        """Queue a job; from the reactor's side only."""

    def stop(self) -> Deferred[None]:
        """Fires when all that was queued is done and delivered.  Nothing is queued after."""


class ThreadExecutor(Executor):
    """One thread.  It is a daemon thread: a process that dies does not wait for it."""

    def __init__(self, reactor: IReactorFromThreads, name: str = "store") -> None:
        self._reactor = reactor
        self._name = name
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._stopped: Deferred[None] = Deferred()

    @override
    def start(self, perform: Work, deliver: Work) -> None:
        self._perform = perform
        self._deliver = deliver
        Thread(target=self._run, name=self._name, daemon=True).start()

    @override
    def submit(self, job: Job) -> None:
        self._queue.put(job)

    @override
    def stop(self) -> Deferred[None]:
        self._queue.put(None)
        return self._stopped

    def _run(self) -> None:
        ended = False
        while not ended:
            group = self._group()
            ended = group[-1] is None
            jobs = [job for job in group if job is not None]
            if jobs:
                self._perform(jobs)
                self._reactor.callFromThread(self._deliver, jobs)
        self._reactor.callFromThread(self._stopped.callback, None)

    def _group(self) -> list[Job | None]:
        """Wait for one job, and take with it whatever else is there; None ends the queue."""
        group = [self._queue.get()]
        try:
            while group[-1] is not None and len(group) < GROUP_MAX:
                group.append(self._queue.get_nowait())
        except Empty:
            pass
        return group


class InlineExecutor(Executor):
    """No thread: the group is what is queued when the clock calls, at the same instant."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: list[Job] = []

    @override
    def start(self, perform: Work, deliver: Work) -> None:
        self._perform = perform
        self._deliver = deliver

    @override
    def submit(self, job: Job) -> None:
        if not self._jobs:
            self._clock.callLater(0, self._run)
        self._jobs.append(job)

    @override
    def stop(self) -> Deferred[None]:
        stopped: Deferred[None] = Deferred()
        self._clock.callLater(0, self._end, stopped)
        return stopped

    def _run(self) -> None:
        jobs, self._jobs = self._jobs, []
        if jobs:
            self._perform(jobs)
            self._deliver(jobs)

    def _end(self, stopped: Deferred[None]) -> None:
        self._run()
        stopped.callback(None)
