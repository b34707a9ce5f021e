"""A port for what people outside ask of the exits; one that cannot be opened is tried again."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IDelayedCall, IProtocol, IProtocolFactory
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory
from typing_extensions import override

log = Logger()

AGAIN = 60.0
"""Seconds between two tries."""


class Port:
    """Listens at the endpoint *where* while it runs, for *factory*, with *most* connections at
    one time."""

    def __init__(
        self, reactor: Any, what: str, where: str, factory: IProtocolFactory, most: int
    ) -> None:
        self.what = what
        self.where = where
        self._reactor = reactor
        self._factory = _Bounded(factory, most)
        self._port: Any = None
        self._timer: IDelayedCall | None = None
        self._running = False

    @property
    def open(self) -> bool:
        """Whether it listens."""
        return self._port is not None

    @property
    def address(self) -> Any:
        """Where it listens, as the transport says."""
        return self._port.getHost()

    def start(self) -> Deferred[None]:
        """Listen; fires after the first try, whatever became of it."""
        self._running = True
        return ensureDeferred(self._listen())

    async def stop(self) -> None:
        """Listen no more, and cut connections that are open; returns when all are gone."""
        self._running = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
        await self._factory.cut()

    async def _listen(self) -> None:
        try:
            port = await serverFromString(self._reactor, self.where).listen(self._factory)
        except Exception as error:
            log.error(
                "{what}: {where} cannot be opened ({kind}); it is tried again.",
                what=self.what,
                where=self.where,
                kind=type(error).__name__,
            )
            if self._running:
                self._timer = self._reactor.callLater(AGAIN, lambda: ensureDeferred(self._listen()))
            return
        if self._running:
            self._port = port
        else:
            await maybeDeferred(port.stopListening)


class _Bounded(WrappingFactory[Any]):
    """At most so many connections at one time; further ones are closed unheard."""

    noisy = False

    def __init__(self, wrapped: IProtocolFactory, most: int) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self._most = most
        self._gone: Deferred[None] | None = None

    @override
    def buildProtocol(self, addr: Any) -> IProtocol | None:
        if len(self.protocols) >= self._most:
            return None
        built: IProtocol | None = super().buildProtocol(addr)
        return built

    @override
    def unregisterProtocol(self, p: Any) -> None:
        super().unregisterProtocol(p)  # type: ignore[no-untyped-call]
        if self._gone is not None and not self.protocols:
            gone, self._gone = self._gone, None
            gone.callback(None)

    async def cut(self) -> None:
        """End every connection; returns when they have ended."""
        if self.protocols:
            gone = self._gone = Deferred()
            for protocol in list(self.protocols):
                protocol.transport.abortConnection()
            await gone
