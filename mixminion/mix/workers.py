"""Worker processes, and their queue of batches.

A worker reads and writes packet keys and nothing else has them.  Each is started with
``spawnProcess`` and talks over one end of a socketpair, its standard input, and
shared memory; the end of that stream ends it, so no worker outlives its parent.  A dead worker's
batches go to the others and it is replaced.
"""

from __future__ import annotations

import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred, execute, gatherResults, succeed
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorProcess,
    IReactorSocket,
    IReactorTime,
)
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from mixminion.counters import Counters, Name
from mixminion.errors import Fault
from mixminion.mix import batches
from mixminion.mix.batches import Made, Wanted
from mixminion.mix.protection import Protection
from mixminion.mix.slots import Slots, anonymous_file
from mixminion.mix.unwrapping import Unwrapping, settings
from mixminion.mix.worker import Job, Worker, WorkerFailed, WorkerProcess

log = Logger()

TRIES = 3
"""A batch that took this many workers with it is given back."""

SLOTS = 3
"""Where a worker finds the memory it shares with us."""

RESPAWN = 1.0
"""Seconds before a dead worker is replaced."""


class WorkersDied(Fault):
    """Workers ended one after another while they had this batch under way."""

    code = "workers-died"
    sentence = "Worker processes ended over the same work; the log may say why."


class Workers(Protocol):
    """What the mix asks of its workers."""

    def start(self) -> None:
        """Start the workers."""

    @property
    def room(self) -> bool:
        """Whether no batch waits for a worker."""

    def unwrap(self, periods: Sequence[int], packets: Sequence[bytes]) -> Deferred[batches.Answers]:
        """Unwrap a batch; one answer a packet, in order."""

    def make(self, wanted: Sequence[Wanted]) -> Deferred[list[Made]]:
        """The public packet keys of those periods; missing pairs are made."""

    def keep(self, periods: Sequence[int]) -> Deferred[None]:
        """Erase the private keys of all other periods, in every worker and on disk."""

    def check(self) -> Deferred[None]:
        """Open the file of every private key, as a worker that is new would."""

    def stop(self) -> Deferred[None]:
        """End the workers."""


def command(told: str) -> list[str]:
    """How a worker process with these :func:`~mixminion.mix.unwrapping.settings` is started;
    its standard input has to be a stream socket."""
    return [sys.executable, "-P", "-m", "mixminion.app.worker", told]


class InlineWorkers:
    """Workers that unwrap in this process, at once: for networks in one process."""

    def __init__(self, unwrapping: Unwrapping) -> None:
        self._unwrapping = unwrapping

    room = True

    def start(self) -> None:
        """Nothing to start."""

    def unwrap(self, periods: Sequence[int], packets: Sequence[bytes]) -> Deferred[batches.Answers]:
        """See :class:`Workers`."""
        return succeed(self._unwrapping.unwrap(periods, packets))

    def make(self, wanted: Sequence[Wanted]) -> Deferred[list[Made]]:
        """See :class:`Workers`."""
        return succeed([self._unwrapping.keys.make(each) for each in wanted])

    def keep(self, periods: Sequence[int]) -> Deferred[None]:
        """See :class:`Workers`."""
        self._unwrapping.keys.keep(periods)
        return succeed(None)

    def check(self) -> Deferred[None]:
        """See :class:`Workers`."""
        return execute(self._unwrapping.keys.check)

    def stop(self) -> Deferred[None]:
        """Nothing to stop."""
        return succeed(None)


class WorkerProcesses:
    """*count* worker processes behind one queue of batches, with the packet keys in *folder*;
    *program* makes the command line of one from its settings; *passphrase* opens the keys.
    Packets have *packet_length* octets."""

    def __init__(
        self,
        reactor: IReactorProcess | IReactorSocket | IReactorTime,
        packet_length: int,
        node_id: bytes,
        folder: Path,
        count: int,
        counters: Counters,
        program: Callable[[str], list[str]] = command,
        passphrase: bytes | None = None,
    ) -> None:
        self._reactor: Any = reactor
        self._packet_length = packet_length
        self._command = program(settings(node_id, folder, packet_length, SLOTS))
        self._count = count
        self._counters = counters
        self._passphrase = passphrase
        self._complaints: set[str] = set()
        self._jobs: deque[Job] = deque()
        self._workers: list[Worker] = []
        self._replacing: IDelayedCall | None = None
        self._batch = 0
        self._stopping = False

    def start(self) -> None:
        """See :class:`Workers`."""
        self._fill()

    @property
    def room(self) -> bool:
        """See :class:`Workers`.  While no worker runs one batch waits for the next."""
        return not (self._jobs or self._stopping)

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that run."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    @property
    def protections(self) -> list[Protection]:
        """What protects each worker that works."""
        return [worker.protection for worker in self._workers if worker.protection is not None]

    def unwrap(self, periods: Sequence[int], packets: Sequence[bytes]) -> Deferred[batches.Answers]:
        """See :class:`Workers`.  Fails with :class:`WorkerFailed`, :class:`WorkersDied` or what is
        wrong with a key's file (:data:`mixminion.mix.keys.KNOWN`)."""
        return self._ask(Job(batches.UNWRAP, batches.encode_periods(periods), packets, Deferred()))

    def make(self, wanted: Sequence[Wanted]) -> Deferred[list[Made]]:
        """See :class:`Workers`.  Fails as :meth:`unwrap` does."""
        return self._ask(Job(batches.MAKE, batches.encode_wanted(wanted), (), Deferred()))

    def keep(self, periods: Sequence[int]) -> Deferred[None]:
        """See :class:`Workers`.  Every worker that may have read keys forgets them; where there
        is none, the first that comes erases the files."""
        body = batches.encode_periods(periods)
        able = [worker for worker in self._workers if worker.ready]
        jobs = [Job(batches.KEEP, body, (), Deferred()) for _ in able]
        for worker, job in zip(able, jobs, strict=True):
            worker.send(self._next_batch(), job)
        asked = [job.done for job in jobs] or [self._ask(Job(batches.KEEP, body, (), Deferred()))]
        kept: Deferred[Any] = gatherResults(asked, consumeErrors=True)
        return kept.addCallbacks(lambda _: None, lambda failure: failure.value.subFailure)

    def check(self) -> Deferred[None]:
        """See :class:`Workers`.  Fails as :meth:`unwrap` does."""
        return self._ask(Job(batches.CHECK, b"", (), Deferred()))

    def stop(self) -> Deferred[None]:
        """See :class:`Workers`.  What is not answered yet fails; who does not end is killed."""
        self._stopping = True
        if self._replacing is not None:
            self._replacing.cancel()
            self._replacing = None
        jobs, self._jobs = self._jobs, deque()
        ended = gatherResults([worker.stop() for worker in list(self._workers)])
        for job in jobs:
            job.done.errback(WorkerFailed(reason="stopping"))
        return ended.addCallback(lambda _: None)

    # -- what the workers tell ---------------------------------------------------------

    def idle(self) -> None:
        """A worker has room."""
        while self._jobs:
            able = [worker for worker in self._workers if worker.room]
            if not able:
                return
            least = min(able, key=lambda worker: worker.load)
            least.send(self._next_batch(), self._jobs.popleft())

    def lost(self, worker: Worker, unanswered: Sequence[Job]) -> None:
        """See :class:`mixminion.mix.worker.Owner`."""
        if self._stopping:
            for job in unanswered:
                job.done.errback(WorkerFailed(reason="stopping"))
            return
        self._counters.add(Name.WORKER_DIED)
        log.warn("A worker process ended; it is replaced.")
        again = list(unanswered)
        if again:
            again[0].deaths += 1  # the others only waited behind it
        given_up = again.pop(0) if again and again[0].deaths >= TRIES else None
        self._jobs.extendleft(reversed(again))
        self.idle()
        if given_up is not None:
            given_up.done.errback(WorkersDied())

    def greeted(self, protection: Protection) -> None:
        """See :class:`mixminion.mix.worker.Owner`.  Each complaint is logged once."""
        for complaint in set(protection.complaints()) - self._complaints:
            self._complaints.add(complaint)
            log.warn("{complaint}", complaint=complaint)

    def gone(self, worker: Worker) -> None:
        """See :class:`mixminion.mix.worker.Owner`."""
        self._workers.remove(worker)
        self._replace()

    # -- inside ------------------------------------------------------------------------

    def _ask(self, job: Job) -> Deferred[Any]:
        if self._stopping:
            job.done.errback(WorkerFailed(reason="stopping"))
        else:
            self._jobs.append(job)
            self.idle()
        return job.done

    def _next_batch(self) -> int:
        self._batch = self._batch % 0xFFFFFFFF + 1  # never GREETING's
        return self._batch

    def _replace(self) -> None:
        if self._replacing is None and not self._stopping:
            self._replacing = self._reactor.callLater(RESPAWN, self._fill)

    def _fill(self) -> None:
        """Have as many workers as there should be."""
        self._replacing = None
        try:
            while len(self._workers) < self._count:
                self._spawn()
        except OSError as error:
            log.error("A worker process could not be started: {why}", why=error.strerror)
            self._replace()

    def _spawn(self) -> None:
        with ExitStack() as ours_no_more:
            ours, theirs = socket.socketpair()
            ours_no_more.enter_context(ours)
            ours_no_more.enter_context(theirs)
            ours.setblocking(False)
            null = os.open(os.devnull, os.O_WRONLY)
            ours_no_more.callback(os.close, null)
            shared = anonymous_file(self._packet_length)
            ours_no_more.callback(os.close, shared)
            worker = Worker(
                self._reactor, Slots(shared, self._packet_length), self, self._passphrase
            )
            worker.process = self._reactor.spawnProcess(
                WorkerProcess(worker),
                self._command[0],
                self._command,
                env=os.environ,
                childFDs={0: theirs.fileno(), 1: null, 2: 2, SLOTS: shared},
            )
            factory = Factory.forProtocol(lambda: worker)
            self._reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)
            self._workers.append(worker)
