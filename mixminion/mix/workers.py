"""Worker processes, seen from the network process.

A worker reads and writes packet keys and nothing else has them.  Each is started with
``spawnProcess`` and talks over one end of a socketpair, its standard input, and
shared memory; the end of that stream ends it, so no worker outlives its parent.  A dead worker's
batches go to the others and it is replaced.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IReactorProcess, IReactorSocket, IReactorTime
from twisted.internet.protocol import Factory, ProcessProtocol, connectionDone
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.counters import Counters, Name
from mixminion.errors import Fault
from mixminion.mix import batches
from mixminion.mix.batches import LENGTH, BrokenAnswer
from mixminion.mix.slots import AREAS, Slots, anonymous_file
from mixminion.mix.unwrapping import Unwrapping, settings
from mixminion.sphinx.geometry import Geometry

log = Logger()

TRIES = 3
"""A batch that took this many workers with it is dropped."""

SLOTS = 3
"""Where a worker finds the memory it shares with us."""

NO_AREA = -1

RESPAWN = 1.0
"""Seconds before a dead worker is replaced."""


DIED = "died"


class WorkerFailed(Fault):
    """A worker could not do what it was asked; ``reason`` is its error's code."""

    code = "worker-failed"
    sentence = "A worker process could not do its work ({reason})."


class Workers(Protocol):
    """What the mix asks of its workers."""

    def start(self) -> None:
        """Start the workers."""

    @property
    def room(self) -> bool:
        """Whether a batch handed over now would be started soon."""

    def unwrap(self, periods: Sequence[int], packets: Sequence[bytes]) -> Deferred[batches.Answers]:
        """Unwrap a batch; one answer a packet, in order."""

    def make(self, periods: Sequence[int]) -> Deferred[dict[int, bytes]]:
        """Public packet keys of *periods*; missing pairs are made."""

    def keep(self, periods: Sequence[int]) -> Deferred[None]:
        """Erase the private keys of all other periods, in every worker and on disk."""

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

    def make(self, periods: Sequence[int]) -> Deferred[dict[int, bytes]]:
        """See :class:`Workers`."""
        return succeed({period: self._unwrapping.keys.make(period) for period in periods})

    def keep(self, periods: Sequence[int]) -> Deferred[None]:
        """See :class:`Workers`."""
        self._unwrapping.keys.keep(periods)
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """Nothing to stop."""
        return succeed(None)


@dataclass(slots=True)
class _Job:
    """A request on its way through the workers."""

    op: int
    periods: Sequence[int]
    packets: Sequence[bytes]
    done: Deferred[Any]
    tries: int = 0


class WorkerProcesses:
    """*count* worker processes behind one queue of batches, with the packet keys in *folder*."""

    def __init__(
        self,
        reactor: IReactorProcess | IReactorSocket | IReactorTime,
        geometry: Geometry,
        node_id: bytes,
        folder: Path,
        count: int,
        counters: Counters,
    ) -> None:
        self._reactor: Any = reactor
        self._packet_length = geometry.packet
        self._command = command(settings(geometry, node_id, folder, slots=SLOTS))
        self._counters = counters
        self._jobs: deque[_Job] = deque()
        self._workers: list[_Worker] = []
        self._count = count
        self._batch = 0
        self._stopping = False

    def start(self) -> None:
        """See :class:`Workers`."""
        for _ in range(self._count):
            self._spawn()

    @property
    def room(self) -> bool:
        """See :class:`Workers`."""
        return not self._jobs and any(worker.room for worker in self._workers)

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that run."""
        return [worker.pid for worker in self._workers]

    def unwrap(self, periods: Sequence[int], packets: Sequence[bytes]) -> Deferred[batches.Answers]:
        """See :class:`Workers`."""
        return self._ask(batches.UNWRAP, periods, packets)

    def make(self, periods: Sequence[int]) -> Deferred[dict[int, bytes]]:
        """See :class:`Workers`."""
        return self._ask(batches.MAKE, periods)

    def keep(self, periods: Sequence[int]) -> Deferred[None]:
        """See :class:`Workers`.  Every worker forgets, so every worker is asked."""
        asked: list[Deferred[None]] = []
        for worker in list(self._workers):
            job = _Job(batches.KEEP, periods, (), Deferred())
            worker.send(self._next_batch(), job)
            asked.append(job.done)
        return gatherResults(asked, consumeErrors=True).addCallback(lambda _: None)

    def stop(self) -> Deferred[None]:
        """See :class:`Workers`.  Batches that no worker has begun fail."""
        self._stopping = True
        jobs, self._jobs = self._jobs, deque()
        for job in jobs:
            job.done.errback(WorkerFailed(reason="stopping"))
        ended = gatherResults([worker.stop() for worker in list(self._workers)])
        return ended.addCallback(lambda _: None)

    # -- what the workers tell ---------------------------------------------------------

    def idle(self) -> None:
        """A worker has room."""
        while self._jobs:
            worker = min(self._workers, key=lambda worker: worker.load, default=None)
            if worker is None or not worker.room:
                return
            worker.send(self._next_batch(), self._jobs.popleft())

    def died(self, worker: _Worker, unanswered: Sequence[_Job]) -> None:
        """A worker's process is gone."""
        if worker in self._workers:
            self._workers.remove(worker)
        if self._stopping:
            for job in unanswered:
                job.done.errback(WorkerFailed(reason="stopping"))
            return
        self._counters.add(Name.WORKER_DIED)
        log.warn("A worker process ended; it is replaced.")
        for job in reversed(unanswered):
            job.tries += 1
            if job.tries >= TRIES:
                job.done.errback(WorkerFailed(reason=DIED))
            else:
                self._jobs.appendleft(job)
        self._reactor.callLater(RESPAWN, self._spawn)
        self.idle()

    # -- inside ------------------------------------------------------------------------

    def _ask(self, op: int, periods: Sequence[int], packets: Sequence[bytes] = ()) -> Deferred[Any]:
        job = _Job(op, periods, packets, Deferred())
        if self._stopping:
            job.done.errback(WorkerFailed(reason="stopping"))
        else:
            self._jobs.append(job)
            self.idle()
        return job.done

    def _next_batch(self) -> int:
        self._batch = (self._batch + 1) & 0xFFFFFFFF
        return self._batch

    def _spawn(self) -> None:
        if self._stopping:
            return
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        null = os.open(os.devnull, os.O_WRONLY)
        shared = anonymous_file(self._packet_length)
        worker = _Worker(Slots(shared, self._packet_length), self.died, self.idle)
        try:
            worker.process = self._reactor.spawnProcess(
                _WorkerProcess(worker.exited),
                self._command[0],
                self._command,
                env=os.environ,
                childFDs={0: theirs.fileno(), 1: null, 2: 2, SLOTS: shared},
            )
            factory = Factory.forProtocol(lambda: worker)
            self._reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)
        finally:
            for descriptor in (null, shared):
                os.close(descriptor)
            theirs.close()
            ours.close()
        self._workers.append(worker)
        self.idle()


class _WorkerProcess(ProcessProtocol):
    """Says when the operating system has reaped the process."""

    def __init__(self, exited: Callable[[], None]) -> None:
        self._exited = exited

    @override
    def processEnded(self, reason: Failure) -> None:
        self._exited()


class _Worker(StreamProtocol):
    """One worker process: our end of its socketpair, and what it has not answered yet."""

    process: Any = None

    def __init__(
        self,
        slots: Slots,
        died: Callable[[_Worker, Sequence[_Job]], None],
        idle: Callable[[], None],
    ) -> None:
        self._slots = slots
        self._areas = list(range(AREAS))
        self._died = died
        self._idle = idle
        self._received = b""
        self._waiting: dict[int, tuple[_Job, int]] = {}
        self._gone: list[Deferred[None]] = []
        self._lost = self._reaped = False

    @property
    def pid(self) -> int:
        """The process id."""
        return int(self.process.pid)

    @property
    def load(self) -> int:
        """Batches it holds."""
        return len(self._waiting)

    @property
    def room(self) -> bool:
        """Whether it takes another batch."""
        return self.connected == 1 and bool(self._areas)

    def send(self, batch: int, job: _Job) -> None:
        """Hand a batch to the process; one to unwrap only while there is room."""
        if job.op == batches.UNWRAP:
            area = self._areas.pop()
            for number, packet in enumerate(job.packets):
                self._slots.put(area, number, packet)
            body = batches.encode_unwrap(area, len(job.packets), job.periods)
        else:
            area = NO_AREA
            body = batches.encode_periods(job.periods)
        self._waiting[batch] = job, area
        transport: Any = self.transport
        transport.write(batches.chunk(job.op, batch, body))

    @override
    def dataReceived(self, data: bytes) -> None:
        data = self._received + data
        at = 0
        while len(data) - at >= LENGTH.size:
            end = at + LENGTH.size + LENGTH.unpack_from(data, at)[0]
            if len(data) < end:
                break
            self._answered(data[at + LENGTH.size : end])
            at = end
        self._received = data[at:]
        self._idle()

    def _answered(self, chunk: bytes) -> None:
        try:
            op, batch = batches.HEAD.unpack_from(chunk)
            job, area = self._waiting.pop(batch)
            result = self._parse(op, area, chunk[batches.HEAD.size :])
        except (BrokenAnswer, struct.error, KeyError):
            log.error("A worker process answered with something unreadable; it is ended.")
            self.process.signalProcess("KILL")
            return
        if area != NO_AREA:
            self._areas.append(area)
        job.done.callback(result)

    def _parse(self, op: int, area: int, body: bytes) -> Any:
        if op == batches.UNWRAP:
            return batches.parse_answers(body, lambda n, length: self._slots.get(area, n, length))
        if op == batches.MAKE:
            return batches.parse_public(body)
        if op == batches.FAILED:
            return Failure(WorkerFailed(reason=body.decode("ascii", "replace")))
        return None

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.connected = 0
        jobs = [job for job, _ in self._waiting.values()]
        self._waiting.clear()
        self._lost = True
        self._slots.close()
        self._died(self, jobs)
        self._settle()

    def exited(self) -> None:
        """The process has been reaped."""
        self._reaped = True
        if self.connected:
            transport: Any = self.transport
            transport.loseConnection()
        self._settle()

    def stop(self) -> Deferred[None]:
        """Close the stream; fires when the process is gone."""
        done: Deferred[None] = Deferred()
        self._gone.append(done)
        if self.connected:
            transport: Any = self.transport
            transport.loseConnection()
        self._settle()
        return done

    def _settle(self) -> None:
        if self._lost and self._reaped:
            gone, self._gone = self._gone, []
            for done in gone:
                done.callback(None)
