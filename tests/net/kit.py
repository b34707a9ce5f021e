"""What the tests of links stand on: parties with credentials, and two ends without a network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.interfaces import Clock
from mixminion.net.links import LinkCredentials, certify
from mixminion.testing.clock import START

DAY = 86_400
NOW = int(START)


class Party:
    """A server: its identity, its signing key, and the credentials they make."""

    def __init__(self, clock: Clock, begins: int = NOW - 5 * DAY, ends: int = NOW + 55 * DAY):
        self.identity = Ed25519PrivateKey.generate()
        self.signing = Ed25519PrivateKey.generate()
        self.public = self.identity.public_key().public_bytes_raw()
        self.certificate = certify(
            self.identity.private_bytes_raw(),
            self.signing.public_key().public_bytes_raw(),
            begins,
            ends,
        )
        self.credentials = LinkCredentials(
            self.public, self.signing.private_bytes_raw(), self.certificate, clock
        )


class Recorder(Protocol):
    """Keeps what arrives, and how the connection ended."""

    def __init__(self) -> None:
        self.octets = b""
        self.end: Failure | None = None

    @override
    def dataReceived(self, data: bytes) -> None:
        self.octets += data

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.end = reason


class Recorders(Factory):
    """Makes them and keeps them."""

    noisy = False

    def __init__(self) -> None:
        self.made: list[Recorder] = []

    @override
    def buildProtocol(self, addr: object) -> Recorder:
        self.made.append(Recorder())
        return self.made[-1]


class Events:
    """Collects our own log events while a test runs."""

    def __init__(self) -> None:
        self.seen: list[LogEvent] = []
        self._observer: Any = self._note

    def _note(self, event: LogEvent) -> None:
        if str(event.get("log_namespace", "")).startswith("mixminion"):
            self.seen.append(event)

    def watch(self, add_cleanup: Callable[..., object]) -> Events:
        """Begin; *add_cleanup* is a test's ``addCleanup``."""
        globalLogPublisher.addObserver(self._observer)
        add_cleanup(globalLogPublisher.removeObserver, self._observer)
        return self

    @property
    def codes(self) -> list[str]:
        """The ``code`` of each."""
        return [event["code"] for event in self.seen]


def handshake(client: Any, server: Any) -> tuple[Any, Any]:
    """Pump two TLS connections against each other until nothing moves: how each fared,
    ``None`` or the ``SSL.Error``, after a first read on both (a refusal of a TLS 1.3 client
    shows only there)."""
    client.set_connect_state()
    server.set_accept_state()
    ends: dict[Any, Any] = {client: "under way", server: "under way"}
    for _ in range(10):
        for one, other in ((client, server), (server, client)):
            if ends[one] == "under way":
                try:
                    one.do_handshake()
                    ends[one] = None
                except SSL.WantReadError:
                    pass
                except SSL.Error as error:
                    ends[one] = error
            carry(one, other)
    for one in (client, server):
        if ends[one] is None:
            try:
                one.recv(1)
            except SSL.WantReadError:
                pass
            except SSL.Error as error:
                ends[one] = error
    return ends[client], ends[server]


def carry(one: Any, other: Any) -> None:
    """Whatever *one* has to send reaches *other*."""
    with contextlib.suppress(SSL.Error):
        other.bio_write(one.bio_read(65_536))
