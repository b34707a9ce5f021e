"""Both sides' TLS in memory: what comes up, and how each refusal shows at both ends."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from OpenSSL import SSL
from OpenSSL._util import lib
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from mixminion.errors import render
from mixminion.net import errors
from mixminion.net.certificates import issue_link, load, read_signing
from mixminion.net.refusals import translate
from mixminion.net.tls import (
    CLASSICAL,
    HYBRID,
    LinkConnection,
    client_tls,
    negotiated,
    peer_identity,
    server_tls,
)
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.net.kit import DAY, NOW, Party, carry, handshake

MMTP = [b"mmtp/2"]


class Handle:
    """A transport of which only the TLS connection is asked for."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def getHandle(self) -> Any:
        return self._connection


def showing(key: Any, *chain: Any) -> Any:
    """A server that shows this chain for this key, whatever it is."""
    context: Any = SSL.Context(SSL.TLS_METHOD)
    context.use_privatekey(key)
    context.use_certificate(chain[0])
    for certificate in chain[1:]:
        context.add_extra_chain_cert(certificate)
    return SSL.Connection(context)


class TLSCase(SyncTestCase):
    def setUp(self) -> None:
        self.clock = HeapClock()
        self.listener = Party(self.clock)
        self.dialler = Party(self.clock)

    def client(self, **changes: Any) -> LinkConnection:
        arguments: dict[str, Any] = {
            "expected_identity": self.listener.public,
            "credentials": self.dialler.credentials,
            "alpn": MMTP,
            "clock": self.clock,
        } | changes
        return client_tls(**arguments).clientConnectionForTLS(None)

    def server(self, **changes: Any) -> LinkConnection:
        arguments: dict[str, Any] = {
            "credentials": self.listener.credentials,
            "alpn": MMTP,
            "clock": self.clock,
        } | changes
        return server_tls(**arguments).serverConnectionForTLS(None)

    def assert_refused(
        self,
        client: Any,
        server: Any,
        at_client: type[errors.LinkRefused],
        at_server: type[errors.LinkRefused],
    ) -> Sequence[errors.LinkRefused]:
        """The handshake fails with these errors, each with its sentence."""
        outcomes = zip((client, server), handshake(client, server), strict=True)
        refusals = []
        for connection, error in outcomes:
            self.assertIsInstance(error, SSL.Error)
            refusals.append(translate(Failure(error), Handle(connection)))
        self.assertEqual([type(each) for each in refusals], [at_client, at_server])
        for each in refusals:
            self.assertNotIn("{", render(each))
        return refusals


class GoodTests(TLSCase):
    def test_mutual(self) -> None:
        """Both ends know each other's identity, and what was negotiated can be read."""
        client, server = self.client(), self.server()
        self.assertEqual(handshake(client, server), (None, None))
        self.assertEqual(peer_identity(Handle(client)), self.listener.public)
        self.assertEqual(peer_identity(Handle(server)), self.dialler.public)
        for end in (client, server):
            settled = negotiated(Handle(end))
            assert settled is not None
            self.assertEqual(settled.version, "TLSv1.3")
            self.assertEqual(settled.group, HYBRID)
            self.assertEqual(settled.protocol, b"mmtp/2")
            self.assertNotIn("SHA1", settled.cipher)

    def test_client_without_certificate(self) -> None:
        """A client shows nothing and is let in, as nobody."""
        client, server = self.client(credentials=None), self.server()
        self.assertEqual(handshake(client, server), (None, None))
        self.assertIsNone(peer_identity(Handle(server)))

    def test_any_identity(self) -> None:
        """Without a pin any sound chain will do, and says whose it is."""
        client, server = self.client(expected_identity=None), self.server()
        self.assertEqual(handshake(client, server), (None, None))
        self.assertEqual(peer_identity(Handle(client)), self.listener.public)

    def test_dates_that_do_not_matter(self) -> None:
        """Where nothing depends on whose a chain is, its dates do not matter, nor does a clock."""
        for wrong in (-400 * DAY, -3600, 0, 3600, 400 * DAY):
            changes: dict[str, Any] = {"expected_identity": None, "credentials": None}
            clock = HeapClock(NOW + wrong)
            client = self.client(clock=clock, dated=False, **changes)
            self.assertEqual(handshake(client, self.server()), (None, None), wrong)
            self.assertEqual(peer_identity(Handle(client)), self.listener.public)

    def test_classical_by_name(self) -> None:
        """X25519 alone is used only when both were told to."""
        client, server = self.client(groups=CLASSICAL), self.server(groups=CLASSICAL)
        self.assertEqual(handshake(client, server), (None, None))
        settled = negotiated(Handle(client))
        assert settled is not None
        self.assertEqual(settled.group.upper(), CLASSICAL)

    def test_our_preference(self) -> None:
        """Of the protocols both speak, the listener's first is taken."""
        both = [b"mmtp/2", b"http/1.1"]
        client, server = self.client(alpn=both[::-1]), self.server(alpn=both)
        self.assertEqual(handshake(client, server), (None, None))
        self.assertEqual(client.get_alpn_proto_negotiated(), b"mmtp/2")

    def test_clock_wrong_by_minutes(self) -> None:
        """Twenty minutes either way are borne."""
        for wrong in (-20 * 60, 20 * 60):
            theirs = HeapClock(NOW + wrong)
            client = self.client(clock=theirs, credentials=Party(theirs).credentials)
            self.assertEqual(handshake(client, self.server()), (None, None))

    def test_renewed(self) -> None:
        """A listener that runs for a day shows another link key then, and links come up."""
        tls = server_tls(self.listener.credentials, MMTP, self.clock)
        shown = []
        for _ in range(2):
            client = self.client()
            self.assertEqual(handshake(client, tls.serverConnectionForTLS(None)), (None, None))
            certificate: Any = client.get_peer_certificate()
            shown.append(certificate.to_cryptography().fingerprint)
            self.clock.advance(DAY)
        self.assertNotEqual(*shown)

    def test_dates_are_judged_at_the_moment_of_each_link(self) -> None:
        """A listener that has been asked before takes link certificates that are newer than
        its own last one, whatever its age."""
        tls = server_tls(self.listener.credentials, MMTP, self.clock)
        for _ in range(8):
            client = self.client(credentials=Party(self.clock).credentials)
            self.assertEqual(handshake(client, tls.serverConnectionForTLS(None)), (None, None))
            self.clock.advance(7 * 60)

    def test_without_tls(self) -> None:
        """A transport without TLS proves nobody."""
        self.assertIsNone(peer_identity(object()))
        self.assertIsNone(negotiated(object()))

    def test_creators(self) -> None:
        """Both are what Twisted takes for TLS."""
        tls: Any = server_tls(self.listener.credentials, MMTP, self.clock)
        verifyObject(IOpenSSLServerConnectionCreator, tls)
        tls = client_tls(None, None, MMTP, self.clock)
        verifyObject(IOpenSSLClientConnectionCreator, tls)

    def test_unknown_group(self) -> None:
        """A group that OpenSSL does not know is an error at once, not a weaker link."""
        with self.assertRaises(ValueError):
            self.client(groups="X25519MLKEM7680")


class ResumptionTests(TLSCase):
    def test_ticket_offered_back(self) -> None:
        """A client that keeps its session and offers it gets a full handshake."""
        tls = server_tls(self.listener.credentials, MMTP, self.clock)
        client, server = self.client(), tls.serverConnectionForTLS(None)
        self.assertEqual(handshake(client, server), (None, None))
        self.talk(client, server)
        session = client.get_session()
        assert session is not None
        again = LinkConnection(client.get_context(), self.listener.public, self.clock)
        server = tls.serverConnectionForTLS(None)
        again.set_session(session)
        self.assertEqual(handshake(again, server), (None, None))
        self.assertEqual(peer_identity(Handle(again)), self.listener.public)
        for end in (again, server):
            cache: Any = end.get_context()
            self.assertEqual(cache.get_session_cache_mode(), SSL.SESS_CACHE_OFF)
            self.assertEqual(lib.SSL_session_reused(end._ssl), 0)

    def test_the_test_can_fail(self) -> None:
        """With caches and tickets left on, the same steps do resume."""
        context: Any = SSL.Context(SSL.TLS_METHOD)
        link = self.listener.credentials.current()
        context.use_privatekey(link.private)
        context.use_certificate(link.certificate)
        plain = SSL.Context(SSL.TLS_METHOD)
        client, server = SSL.Connection(plain), SSL.Connection(context)
        self.assertEqual(handshake(client, server), (None, None))
        self.talk(client, server)
        session = client.get_session()
        assert session is not None
        again, server = SSL.Connection(plain), SSL.Connection(context)
        again.set_session(session)
        self.assertEqual(handshake(again, server), (None, None))
        self.assertEqual(lib.SSL_session_reused(again._ssl), 1)

    def talk(self, client: Any, server: Any) -> None:
        """An octet each way, so that whatever ticket there is has arrived."""
        for one, other in ((server, client), (client, server)):
            one.send(b"x")
            carry(one, other)
            self.assertEqual(other.recv(10), b"x")


class RefusedTests(TLSCase):
    def test_wrong_identity_of_listener(self) -> None:
        """The dialler asked for somebody else: both ends know."""
        client = self.client(expected_identity=self.dialler.public)
        self.assert_refused(client, self.server(), errors.WrongIdentity, errors.RefusedAsStranger)

    def test_expired_listener(self) -> None:
        """The listener's signing certificate has ended: both ends know."""
        old = Party(self.clock, NOW - 61 * DAY, NOW - DAY)
        client = self.client(expected_identity=old.public)
        server = self.server(credentials=old.credentials)
        self.assert_refused(client, server, errors.Expired, errors.RefusedAsExpired)

    def test_expired_dialler(self) -> None:
        """The dialler's has: the listener refuses, the dialler hears of it with its first read."""
        old = Party(self.clock, NOW - 61 * DAY, NOW - DAY)
        client = self.client(credentials=old.credentials)
        self.assert_refused(client, self.server(), errors.RefusedAsExpired, errors.Expired)

    def test_not_yet_valid_listener(self) -> None:
        """The listener's signing certificate begins tomorrow: both ends know."""
        new = Party(self.clock, NOW + DAY, NOW + 61 * DAY)
        client = self.client(expected_identity=new.public)
        server = self.server(credentials=new.credentials)
        refusals = self.assert_refused(client, server, errors.NotYetValid, errors.RefusedAsNotValid)
        self.assertIn("2027-01-16", render(refusals[0]))

    def test_not_yet_valid_dialler(self) -> None:
        """The dialler's begins tomorrow."""
        new = Party(self.clock, NOW + DAY, NOW + 61 * DAY)
        client = self.client(credentials=new.credentials)
        self.assert_refused(client, self.server(), errors.RefusedAsNotValid, errors.NotYetValid)

    def test_clock_wrong_by_an_hour(self) -> None:
        """A dialler whose clock is an hour off is told so, whenever the link key was made."""
        for age in (0, 29 * 60):
            for wrong, heard in (
                (-3600, errors.RefusedAsNotValid),
                (3600, errors.RefusedAsExpired),
            ):
                server = self.server()
                theirs = HeapClock(NOW + age + wrong)
                client = self.client(clock=theirs, credentials=Party(theirs).credentials)
                refusals = self.assert_refused(client, server, errors.ClockWrong, heard)
                self.assertLessEqual(refusals[0].fields["minutes"], 60)
                self.assertGreater(refusals[0].fields["minutes"], 20)

    def test_listener_without_our_certificate(self) -> None:
        """A chain of one, as any web server has it, is not a Mixminion server's."""
        link = self.listener.credentials.current()
        server = showing(link.private, link.certificate)
        self.assert_refused(self.client(), server, errors.BadCertificate, errors.RefusedAsStranger)

    def test_further_certificate(self) -> None:
        """A further certificate that is no part of the chain is ignored."""
        link = self.listener.credentials.current()
        other = self.dialler.credentials.current().signing
        server = showing(link.private, link.certificate, link.signing, other)
        client = self.client()
        self.assertEqual(handshake(client, server), (None, None))
        self.assertEqual(peer_identity(Handle(client)), self.listener.public)

    def test_link_certificate_of_another_issuer(self) -> None:
        """A link certificate that somebody else's signing key issued is refused."""
        theirs = self.dialler.credentials.current()
        ours = self.listener.credentials.current().signing
        client, server = self.client(), showing(theirs.private, theirs.certificate, ours)
        for error in handshake(client, server):
            self.assertIsInstance(error, SSL.Error)
        self.assertIsInstance(client.refusal, errors.BadCertificate)

    def test_link_certificate_that_outlives_its_issuer(self) -> None:
        """A link certificate valid beyond the signing certificate's dates is refused."""
        now = NOW + 10 * DAY
        self.clock.advance(10 * DAY)
        real = Party(self.clock, now - 60 * DAY, now + 600)
        signing = load(real.certificate)
        longer = replace(read_signing(signing), not_after=now + DAY)
        link = Ed25519PrivateKey.generate()
        der = issue_link(
            real.signing.private_bytes_raw(), longer, link.public_key().public_bytes_raw(), now
        )
        client = self.client(expected_identity=real.public)
        handshake(client, showing(link, load(der), signing))
        self.assertIsInstance(client.refusal, errors.BadCertificate)

    def test_forged_link_certificate(self) -> None:
        """A link certificate that names the right issuer and is signed by somebody else."""
        signing = load(self.listener.certificate)
        link = Ed25519PrivateKey.generate()
        der = issue_link(
            self.dialler.signing.private_bytes_raw(),
            read_signing(signing),
            link.public_key().public_bytes_raw(),
            NOW,
        )
        client = self.client()
        handshake(client, showing(link, load(der), signing))
        self.assertIsInstance(client.refusal, errors.BadCertificate)
        self.assertIsNone(client.peer_identity)

    def test_link_key_certifies_nobody(self) -> None:
        """Who has got hold of a link key cannot issue with it, not even where nothing is
        pinned."""
        stolen = self.listener.credentials.current()
        link = Ed25519PrivateKey.generate()
        issuer = stolen.certificate
        builder = (
            x509.CertificateBuilder()
            .issuer_name(issuer.subject)
            .subject_name(x509.Name([]))
            .public_key(link.public_key())
            .serial_number(1)
            .not_valid_before(issuer.not_valid_before_utc)
            .not_valid_after(issuer.not_valid_after_utc)
        )
        certificate = builder.sign(stolen.private, None)
        client = self.client(expected_identity=None)
        handshake(client, showing(link, certificate, issuer))
        self.assertIsInstance(client.refusal, errors.BadCertificate)
        self.assertIsNone(client.peer_identity)

    def test_wrong_protocol(self) -> None:
        """No ALPN in common: both ends know."""
        client = self.client(alpn=[b"mmtp/3"])
        self.assert_refused(client, self.server(), errors.WrongProtocol, errors.WrongProtocol)

    def test_wrong_group(self) -> None:
        """Hybrid and classical do not meet, whichever side insists: both ends know."""
        for ours, theirs in ((HYBRID, CLASSICAL), (CLASSICAL, HYBRID)):
            client, server = self.client(groups=ours), self.server(groups=theirs)
            self.assert_refused(client, server, errors.WrongGroup, errors.WrongGroup)

    def test_old_tls(self) -> None:
        """TLS 1.2 is not spoken: both ends know."""
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        self.assert_refused(
            SSL.Connection(context), self.server(), errors.WrongVersion, errors.WrongVersion
        )

    def test_junk(self) -> None:
        """What is not TLS has one sentence too, on either side."""
        for junk in (b"GET / HTTP/1.0\r\n\r\n", bytes(100), b"\x16\x03\x01\x00\x05hello"):
            for end in (self.client(), self.server()):
                if end.expected is None:
                    end.set_accept_state()
                else:
                    end.set_connect_state()
                end.bio_write(junk)
                with self.assertRaises(SSL.Error) as caught:
                    for _ in range(3):
                        with contextlib.suppress(SSL.WantReadError):
                            end.do_handshake()
                refusal = translate(Failure(caught.exception), Handle(end))
                self.assertIsInstance(refusal, errors.NotTLS)
