"""Listening sockets of our own: IPv6 sockets take IPv6 only, so that ``0.0.0.0`` and ``[::]``
can have the same port and no IPv4 peer appears as ``::ffff:a.b.c.d``."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IListeningPort, IReactorSocket
from typing_extensions import override

from mixminion.net.errors import CannotListen, PortForbidden, PortInUse
from mixminion.util.hostport import HostPort

BACKLOG = 512

_ERRORS: dict[int | None, type[CannotListen]] = {
    errno.EADDRINUSE: PortInUse,
    errno.EACCES: PortForbidden,
}


def bind(address: HostPort) -> socket.socket:
    """A listening, non-blocking socket on an IP address; port 0 takes any free port.

    Raises :class:`CannotListen` (:class:`PortInUse`, :class:`PortForbidden`)."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((address.host, address.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        kind = _ERRORS.get(error.errno, CannotListen)
        raise kind(address=str(address), problem=error.strerror or "unknown") from error
    return listening


def trial(addresses: Iterable[HostPort]) -> None:
    """Bind each and let go again: what makeService does, where an error can still be fatal."""
    sockets = []
    try:
        for address in addresses:
            sockets.append(bind(address))
    finally:
        for each in sockets:
            each.close()


class Listener(Service):
    """Listens on all of *addresses* while it runs; *reactor* provides ``IReactorSocket``."""

    def __init__(
        self, reactor: IReactorSocket, addresses: Sequence[HostPort], factory: Any
    ) -> None:
        self._reactor = reactor
        self._wanted = tuple(addresses)
        self._factory = factory
        self._ports: list[IListeningPort] = []

    @property
    def addresses(self) -> list[HostPort]:
        """Where it listens now, with real ports."""
        hosts: list[Any] = [port.getHost() for port in self._ports]
        return [HostPort(host.host, host.port) for host in hosts]

    @override
    def privilegedStartService(self) -> None:
        self._listen()
        super().privilegedStartService()  # type: ignore[no-untyped-call]

    @override
    def startService(self) -> None:
        self._listen()
        super().startService()  # type: ignore[no-untyped-call]

    @override
    def stopService(self) -> Deferred[Any]:
        """Accept no more; connections that are open stay."""
        super().stopService()  # type: ignore[no-untyped-call]
        ports, self._ports = self._ports, []
        stopping = [port.stopListening() for port in ports]
        return DeferredList([each for each in stopping if isinstance(each, Deferred)])

    def _listen(self) -> None:
        if self._ports:
            return
        for address in self._wanted:
            listening = bind(address)
            try:
                self._ports.append(
                    self._reactor.adoptStreamPort(
                        listening.fileno(), listening.family, self._factory
                    )
                )
            finally:
                listening.close()  # adoptStreamPort has made its own copy
