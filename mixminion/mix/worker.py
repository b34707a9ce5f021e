"""One worker process, seen from the network process: its stream, its memory, its work."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol, connectionDone
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.errors import Fault
from mixminion.interfaces import Clock
from mixminion.mix import batches
from mixminion.mix.batches import LENGTH, BrokenAnswer
from mixminion.mix.keys import KNOWN
from mixminion.mix.protection import Protection
from mixminion.mix.slots import AREAS, Slots

log = Logger()

GREETING = 0
"""The batch number of a worker's ``HELLO``, whose answer shows that it works."""

NO_AREA = -1

ANSWER_MAX = 65_536
"""Octets of the longest answer; sixteen records or eight public keys need a sixth of it."""

HANGING = 60.0
"""Seconds without an answer after which a worker that has work is killed."""

ENDING = 10.0
"""Seconds that a worker whose stream is closed has for ending."""


class WorkerFailed(Fault):
    """A worker could not do what it was asked; ``reason`` is its error's code.  What is wrong with
    a packet key's file is told as itself (:data:`mixminion.mix.keys.KNOWN`)."""

    code = "worker-failed"
    sentence = "A worker process could not do its work ({reason})."


@dataclass(slots=True, eq=False)
class Job:
    """A request on its way through the workers."""

    op: int
    body: bytes  #: of the request; of ``UNWRAP`` the key periods alone
    packets: Sequence[bytes]
    done: Deferred[Any]
    deaths: int = 0  #: how many workers ended while this was under way


class Owner(Protocol):
    """Whom a worker tells."""

    def idle(self) -> None:
        """It has room."""

    def lost(self, worker: Worker, unanswered: Sequence[Job]) -> None:
        """It answers no more; the first of *unanswered* was under way."""

    def gone(self, worker: Worker) -> None:
        """Its process is gone."""

    def greeted(self, protection: Protection) -> None:
        """A worker works, and is protected like this."""


class Worker(StreamProtocol):
    """Our end of one worker's stream.

    It gets no packets before it has answered ``HELLO``: one that cannot start at all must
    not be mistaken for one that a packet has ended.
    """

    process: Any = None
    protection: Protection | None = None

    def __init__(
        self, clock: Clock, slots: Slots, owner: Owner, passphrase: bytes | None = None
    ) -> None:
        self._passphrase = passphrase
        self._clock = clock
        self._slots = slots
        self._owner = owner
        self._areas = list(range(AREAS))
        self._received = b""
        self._waiting: dict[int, tuple[Job, int]] = {}
        self._gone: list[Deferred[None]] = []
        self._deadline: IDelayedCall | None = None
        self._over = self._lost = self._reaped = False
        self.ready = False

    @property
    def pid(self) -> int | None:
        """The process id; None when the process has ended."""
        pid: int | None = self.process.pid
        return pid

    @property
    def load(self) -> int:
        """Batches it holds."""
        return len(self._waiting)

    @property
    def room(self) -> bool:
        """Whether it takes another batch."""
        return self.ready and bool(self._areas)

    def send(self, batch: int, job: Job) -> None:
        """Hand a batch to the process; one to unwrap only while there is room."""
        if job.op == batches.UNWRAP:
            area = self._areas.pop()
            for number, packet in enumerate(job.packets):
                self._slots.put(area, number, packet)
            body = batches.AREA.pack(area, len(job.packets)) + job.body
        else:
            area = NO_AREA
            body = job.body
        self._waiting[batch] = job, area
        if self._deadline is None:
            self._wait(HANGING)
        self._transport.write(batches.chunk(job.op, batch, body))

    def stop(self) -> Deferred[None]:
        """Close the stream; fires when the process is gone."""
        done: Deferred[None] = Deferred()
        self._gone.append(done)
        if not self._lost:
            self._over = True
            self.ready = False
            self._wait(ENDING)
            self._transport.loseConnection()
        return done

    # -- what the process says -----------------------------------------------------------

    @override
    def connectionMade(self) -> None:
        done: Deferred[Any] = Deferred().addCallback(self._greeted)
        self.send(GREETING, Job(batches.HELLO, self._passphrase or b"", (), done))

    def _greeted(self, protection: Protection) -> None:
        self.protection = protection
        self._owner.greeted(protection)

    @override
    def dataReceived(self, data: bytes) -> None:
        data = self._received + data
        at = 0
        while not self._over and len(data) - at >= LENGTH.size:
            length = LENGTH.unpack_from(data, at)[0]
            end = at + LENGTH.size + length
            try:
                if length > ANSWER_MAX:
                    raise BrokenAnswer()
                if len(data) < end:
                    break
                self._answered(data[at + LENGTH.size : end])
            except (BrokenAnswer, struct.error, KeyError):
                log.error("A worker process answered with something unreadable; it is ended.")
                self._end()
            at = end
        self._received = data[at:]

    def _answered(self, chunk: bytes) -> None:
        op, batch = batches.HEAD.unpack_from(chunk)
        job, area = self._waiting[batch]
        result = self._parse(op, job, area, chunk[batches.HEAD.size :])
        del self._waiting[batch]
        if area != NO_AREA:
            self._areas.append(area)
        self.ready = True
        self._wait(HANGING if self._waiting else None)
        self._owner.idle()  # the process has work again before we look at what it did
        job.done.callback(result)

    def _parse(self, op: int, job: Job, area: int, body: bytes) -> Any:
        if op == batches.FAILED and job.op != batches.HELLO:
            code, fields = batches.parse_failure(body)
            known = KNOWN.get(code)
            return Failure(known(**fields) if known else WorkerFailed(reason=code))
        if op != job.op:
            raise BrokenAnswer()
        if op == batches.HELLO:
            return Protection.decode(body)
        if op == batches.MAKE:
            return batches.parse_made(body)
        if op in (batches.KEEP, batches.CHECK):
            return None
        slots = self._slots
        answers = batches.parse_answers(body, lambda n, length: slots.get(area, n, length))
        if len(answers) != len(job.packets):
            raise BrokenAnswer()
        return answers

    # -- its end -------------------------------------------------------------------------

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        jobs = [job for batch, (job, _) in self._waiting.items() if batch != GREETING]
        self._waiting.clear()
        self.ready = False
        self._wait(None if self._reaped else ENDING)
        self._slots.close()
        self._owner.lost(self, jobs)
        self._settle()

    def exited(self) -> None:
        """The process has been reaped."""
        self._reaped = True
        self._settle()

    def _end(self) -> None:
        """It is of no use any more: its work goes to others."""
        self._wait(None)
        self._over = True
        self.ready = False
        with suppress(ProcessExitedAlready):
            self.process.signalProcess("KILL")
        self._transport.abortConnection()

    def _settle(self) -> None:
        if self._lost and self._reaped:
            self._wait(None)
            self._owner.gone(self)
            gone, self._gone = self._gone, []
            for done in gone:
                done.callback(None)

    # -- small things --------------------------------------------------------------------

    @property
    def _transport(self) -> Any:
        return self.transport

    def _wait(self, seconds: float | None) -> None:
        """Kill it in so many seconds, unless told otherwise before."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None if seconds is None else self._clock.callLater(seconds, self._late)

    def _late(self) -> None:
        log.warn("A worker process does not answer or end; it is killed.")
        self._end()


class WorkerProcess(ProcessProtocol):
    """Says when the operating system has reaped the process of *worker*."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    @override
    def processEnded(self, reason: Failure) -> None:
        self._worker.exited()
