"""A process of a network on a virtual clock: what it does to the world ends when it is killed.

Everything that reaches such a process, and everything it does, goes through its clock, its
executors and its wires.  Each passage is told to ``passing``, which may kill the process there
and then: whatever its objects still do afterwards, in the middle of a call as they are,
reaches nobody.  What has been committed to its store stays.
"""

from __future__ import annotations

# mypy: allow-untyped-calls
# (twisted.protocols.policies has few annotations)
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from mixminion.interfaces import Clock
from mixminion.store import Executor
from mixminion.store.executors import Work
from mixminion.store.jobs import Job
from mixminion.testing.wire import MemoryNetwork

CLOCK, SOCKET, STORAGE = "clock", "socket", "storage"


def nothing(*what: object) -> None:
    """What is called where nothing is to be done."""


class Process:
    """One life of a program at *host*.

    *passing* is called with ``CLOCK``, ``SOCKET`` or ``STORAGE`` at each passage; *committed*
    with each group of jobs that a store has committed, before anybody is told.
    """

    def __init__(
        self,
        clock: Clock,
        wire: MemoryNetwork,
        host: str,
        passing: Callable[[str], None] = nothing,
        committed: Callable[[list[Job]], None] = nothing,
    ) -> None:
        self.alive = True
        self.clock = ProcessClock(self, clock)
        self.committed = committed
        self._passing = passing
        self._wire = wire
        self._host = host
        self._closing: list[Callable[[], object]] = []

    def passes(self, kind: str) -> bool:
        """One passage; whether it is still to happen."""
        if self.alive:
            self._passing(kind)
        return self.alive

    def kill(self) -> None:
        """End it, as ``SIGKILL`` would: connections are reset, files closed as they are."""
        if self.alive:
            self.alive = False
            for close in self._closing:
                close()
            self._wire.drop(self._host)

    def executor(self, inner: Executor, seconds: float = 0.0) -> Executor:
        """What *inner* does for a store, *seconds* late, for as long as the process lives."""
        return _Executor(self, inner, seconds)

    def factory(self, inner: IProtocolFactory) -> IProtocolFactory:
        """Protocols of *inner* whose connections end with the process."""
        return _Wires(self, inner)

    def endpoint(self, inner: IStreamClientEndpoint) -> IStreamClientEndpoint:
        """Connects as *inner* does."""
        return _Endpoint(self, inner)

    def at_end(self, close: Callable[[], object]) -> None:
        """Call this when it is killed, or now if it has been."""
        if self.alive:
            self._closing.append(close)
        else:
            close()


@implementer(IReactorTime)
class ProcessClock:
    """A clock whose calls are not made any more once the process is dead."""

    def __init__(self, process: Process, clock: Clock) -> None:
        self._process = process
        self._clock = clock

    def seconds(self) -> float:
        """The time."""
        self._process.passes(CLOCK)
        return self._clock.seconds()

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> IDelayedCall:
        """Call it, if the process lives then."""
        self._process.passes(CLOCK)

        def call() -> None:
            if self._process.passes(CLOCK):
                callable(*args, **kwargs)

        return self._clock.callLater(delay, call)

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """Those of the clock behind it."""
        return list(self._clock.getDelayedCalls())


class _Executor:
    """Groups of jobs are not begun, and nobody hears of them, once the process is dead."""

    def __init__(self, process: Process, inner: Executor, seconds: float) -> None:
        self._process = process
        self._inner = inner
        self._seconds = seconds

    def start(self, perform: Work, deliver: Work) -> None:
        process = self._process
        spool = getattr(perform, "__self__", None)
        if spool is not None:
            process.at_end(spool.close)

        def commit(jobs: list[Job]) -> None:
            if process.passes(STORAGE):
                perform(jobs)
                process.committed(jobs)

        def tell(jobs: list[Job]) -> None:
            if process.passes(STORAGE):
                deliver(jobs)

        self._inner.start(commit, tell)

    def submit(self, job: Job) -> None:
        if self._seconds:
            self._process.clock.callLater(self._seconds, self._inner.submit, job)
        else:
            self._inner.submit(job)

    def stop(self) -> Deferred[None]:
        stopped: Deferred[None] = Deferred()
        self._process.clock.callLater(
            self._seconds, lambda: self._inner.stop().chainDeferred(stopped)
        )
        return stopped


class _Wires(WrappingFactory):
    """Makes wires while the process lives."""

    noisy = False

    def __init__(self, process: Process, inner: IProtocolFactory) -> None:
        super().__init__(inner)
        self._process = process

    @override
    def buildProtocol(self, addr: Any) -> Any:
        if not self._process.passes(SOCKET):
            return None
        protocol = self.wrappedFactory.buildProtocol(addr)
        return protocol and _Wire(self._process, self, protocol)


class _Wire(ProtocolWrapper):
    """A connection: octets pass while the process lives."""

    def __init__(self, process: Process, factory: Any, inner: IProtocol) -> None:
        super().__init__(factory, inner)
        self._process = process

    @override
    def write(self, data: bytes) -> None:
        if self._process.passes(SOCKET):
            super().write(data)

    @override
    def writeSequence(self, data: Any) -> None:
        if self._process.passes(SOCKET):
            super().writeSequence(data)

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._process.passes(SOCKET):
            super().dataReceived(data)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._process.passes(SOCKET):
            super().connectionLost(reason)


@implementer(IStreamClientEndpoint)
class _Endpoint:
    """Connects for a process."""

    def __init__(self, process: Process, inner: IStreamClientEndpoint) -> None:
        self._process = process
        self._inner = inner

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        if not self._process.passes(SOCKET):
            return Deferred()
        connecting: Deferred[Any] = self._inner.connect(self._process.factory(protocolFactory))
        return connecting.addCallback(lambda wire: wire.wrappedProtocol)
