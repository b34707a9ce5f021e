"""Dialling over TLS in memory: every way it can fail, and what both ends know then."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError, DNSLookupError
from twisted.internet.interfaces import (
    IOpenSSLServerConnectionCreator,
    IStreamClientEndpoint,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from mixminion.counters import Counters, Name
from mixminion.errors import PeerError, render
from mixminion.mmtp import errors
from mixminion.mmtp.client import connect
from mixminion.net import errors as net_errors
from mixminion.net.tls import CLASSICAL, client_tls
from mixminion.testing.clock import HeapClock
from tests.mmtp.kit import HOST, LENGTH, PORT, NetworkCase, User
from tests.net.kit import DAY, NOW, Party, Recorders


class RefusedTests(NetworkCase):
    """Dials that fail: what both ends know and count."""

    def setUp(self) -> None:
        super().setUp()
        self.user = User()
        self.dialling = Counters()

    def fails(self, at_server: str | None, **changes: Any) -> PeerError:
        """Dial a real server, which must fail; *at_server* is the code that it knows."""
        self.serve()
        dialled = self.dial(self.user, self.dialling, **changes)
        self.clock.advance(1)
        failure = self.failureResultOf(dialled, net_errors.LinkRefused)
        self.assertEqual(self.dialling.snapshot(), {Name.LINK_REFUSED: 1})
        self.assertEqual(self.user.link, None)
        self.assertEqual(self.user.ends, [])
        expected = {("dialling", failure.value.code)}
        if at_server is not None:
            expected |= {("listening", at_server)}
            self.assertEqual(self.counters.snapshot(), {Name.LINK_REFUSED: 1})
        seen = {(event["side"], event["code"]) for event in self.events.seen}
        self.assertEqual(seen, expected)
        self.assertEqual(len(self.events.seen), len(expected))
        self.assertNotIn("{", render(failure.value))
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assert_idle()
        error: PeerError = failure.value
        return error

    def test_wrong_identity(self) -> None:
        """Another machine at that address."""
        error = self.fails("refused-as-stranger", expected_identity=self.other.public)
        self.assertIsInstance(error, net_errors.WrongIdentity)

    def test_clock_wrong(self) -> None:
        """Our clock is an hour ahead, or behind."""
        theirs = HeapClock(NOW + 3600)
        error = self.fails(
            "refused-as-expired", clock=theirs, credentials=Party(theirs).credentials
        )
        self.assertIsInstance(error, net_errors.ClockWrong)

    def test_we_are_expired(self) -> None:
        """Our signing certificate has ended; the server refuses, and we hear why."""
        old = Party(self.clock, NOW - 61 * DAY, NOW - DAY)
        error = self.fails("expired", credentials=old.credentials)
        self.assertIsInstance(error, net_errors.RefusedAsExpired)

    def test_we_are_not_yet_valid(self) -> None:
        """Our signing certificate begins tomorrow."""
        new = Party(self.clock, NOW + DAY, NOW + 61 * DAY)
        error = self.fails("not-yet-valid", credentials=new.credentials)
        self.assertIsInstance(error, net_errors.RefusedAsNotValid)

    def test_they_are_expired(self) -> None:
        """Theirs has."""
        self.party = Party(self.clock, NOW - 61 * DAY, NOW - DAY)
        error = self.fails("refused-as-expired")
        self.assertIsInstance(error, net_errors.Expired)

    def test_wrong_protocol(self) -> None:
        """We speak something else."""
        error = self.fails("wrong-protocol", alpn=[b"mmtp/3"])
        self.assertIsInstance(error, net_errors.WrongProtocol)

    def test_wrong_group(self) -> None:
        """We were set to the insecure mode."""
        error = self.fails("wrong-group", groups=CLASSICAL)
        self.assertIsInstance(error, net_errors.WrongGroup)


@implementer(IOpenSSLServerConnectionCreator)
class NoAlpn:
    """A TLS server with the right chain that has never heard of ALPN."""

    def __init__(self, party: Party) -> None:
        self._link = party.credentials.current()

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        context: Any = SSL.Context(SSL.TLS_METHOD)
        context.use_privatekey(self._link.private)
        context.use_certificate(self._link.certificate)
        context.add_extra_chain_cert(self._link.signing)
        return SSL.Connection(context)


class DialTests(NetworkCase):
    def test_no_alpn(self) -> None:
        """A server of the right identity that does not speak our protocol."""
        server = TLSMemoryBIOFactory(NoAlpn(self.party), False, Recorders(), clock=self.clock)
        self.clock.result_of(self.network.server(HOST, PORT).listen(server))
        dialled = self.dial(User())
        self.clock.advance(1)
        self.failureResultOf(dialled, net_errors.WrongProtocol)
        self.assert_idle()

    def fails(self, endpoint: Any) -> PeerError:
        tls = client_tls(self.party.public, None, [b"mmtp/2"], self.clock)
        counters = Counters()
        dialled = connect(self.clock, endpoint, tls, LENGTH, User(), counters=counters)
        self.clock.advance(31)
        self.assertEqual(counters.snapshot(), {Name.DIAL_FAILED: 1})
        self.assert_idle()
        error: PeerError = self.failureResultOf(dialled, errors.SessionError).value
        return error

    def test_nobody_there(self) -> None:
        """Nobody listens at the address."""
        error = self.fails(self.network.client("192.0.2.9", 1))
        self.assertIsInstance(error, errors.DialFailed)

    def test_words(self) -> None:
        """The problem is in words that name no host."""
        for reason, word in (
            (ConnectionRefusedError(111), "connection refused"),
            (DNSLookupError("no such host secret.example"), "its name is not known"),
            (RuntimeError("secret.example"), "no connection"),
        ):
            sentence = render(self.fails(Failing(reason)))
            self.assertIn(word, sentence)
            self.assertNotIn("secret", sentence)

    def test_no_answer(self) -> None:
        """An address that swallows everything."""
        silent = Silent()
        self.assertIsInstance(self.fails(silent), errors.DialTooSlow)
        self.assertTrue(silent.cancelled)

    def test_cancelled(self) -> None:
        """Cancelling while TCP connects cancels that."""
        silent: Any = Silent()
        tls = client_tls(self.party.public, None, [b"mmtp/2"], self.clock)
        dialled = connect(self.clock, silent, tls, LENGTH, User())
        dialled.cancel()
        self.failureResultOf(dialled, CancelledError)
        self.assertTrue(silent.cancelled)
        self.assert_idle()


@implementer(IStreamClientEndpoint)
class Failing:
    """An endpoint that fails."""

    def __init__(self, reason: Exception) -> None:
        self._reason = reason

    def connect(self, protocolFactory: object) -> Deferred[Any]:
        deferred: Deferred[Any] = Deferred()
        deferred.errback(self._reason)
        return deferred


@implementer(IStreamClientEndpoint)
class Silent:
    """An endpoint that never connects."""

    cancelled = False

    def connect(self, protocolFactory: object) -> Deferred[Any]:
        return Deferred(self._cancel)

    def _cancel(self, deferred: Deferred[Any]) -> None:
        self.cancelled = True
