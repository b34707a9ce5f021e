"""Listening sockets, real ones."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor

from mixminion.errors import EX_NOPERM, EX_UNAVAILABLE, render
from mixminion.net.errors import CannotListen, PortForbidden, PortInUse
from mixminion.net.listeners import Listener, bind, trial
from mixminion.testing.cases import AsyncTestCase, SyncTestCase
from mixminion.util.hostport import HostPort
from tests.net.kit import Recorders


class BindTests(SyncTestCase):
    def bind(self, host: str, port: int = 0) -> tuple[socket.socket, int]:
        bound = bind(HostPort(host, port))
        self.addCleanup(bound.close)
        return bound, bound.getsockname()[1]

    def test_both_families_on_one_port(self) -> None:
        """``0.0.0.0`` and ``[::]`` have the same port at the same time."""
        _, port = self.bind("0.0.0.0")
        six, _ = self.bind("::", port)
        self.assertEqual(six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY), 1)

    def test_in_use(self) -> None:
        """A port in use is the operator's error, exit code 69, and nothing stays open."""
        _, port = self.bind("127.0.0.1")
        for attempt in (bind, lambda address: trial([HostPort("127.0.0.1", 0), address])):
            with self.assertRaises(PortInUse) as caught:
                attempt(HostPort("127.0.0.1", port))
            self.assertEqual(caught.exception.exit_code, EX_UNAVAILABLE)
            self.assertIn(f"127.0.0.1:{port}", render(caught.exception))

    def test_not_ours(self) -> None:
        """An address of another machine cannot be listened on."""
        with self.assertRaises(CannotListen) as caught:
            bind(HostPort("192.0.2.1", 0))
        self.assertNotIsInstance(caught.exception, PortInUse)

    def test_forbidden(self) -> None:
        """What the system forbids has exit code 77."""
        self.assertEqual(PortForbidden.exit_code, EX_NOPERM)

    def test_trial_lets_go(self) -> None:
        """After a trial the ports are free."""
        bound, port = self.bind("127.0.0.1")
        bound.close()
        trial([HostPort("127.0.0.1", port)])
        self.bind("127.0.0.1", port)


class ListenerTests(AsyncTestCase):
    async def test_service(self) -> None:
        """It listens on all its addresses, once, and stops."""
        loop: Any = reactor
        service = Listener(loop, [HostPort("127.0.0.1", 0), HostPort("127.1.0.1", 0)], Recorders())
        service.privilegedStartService()
        service.startService()
        first, second = service.addresses
        self.assertEqual((first.host, second.host), ("127.0.0.1", "127.1.0.1"))
        for address in (first, second):
            socket.create_connection((address.host, address.port)).close()
        await service.stopService()
        self.assertEqual(service.addresses, [])
        trial([first, second])

    async def test_second_of_two_in_use(self) -> None:
        """A start that fails half way says which address it was; stopping lets go of the rest."""
        taken = bind(HostPort("127.0.0.1", 0))
        self.addCleanup(taken.close)
        loop: Any = reactor
        service = Listener(
            loop,
            [HostPort("127.0.0.1", 0), HostPort("127.0.0.1", taken.getsockname()[1])],
            Recorders(),
        )
        with self.assertRaises(PortInUse):
            service.privilegedStartService()
        await service.stopService()
