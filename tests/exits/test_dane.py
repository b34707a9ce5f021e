"""DANE (RFC 7672): what the DNS vouches for, and nothing else, once it vouches for something."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import crypto
from twisted.internet import reactor as installed
from twisted.internet.defer import ensureDeferred
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from typing_extensions import override

from mixminion.crypto.rng import SeededRandom
from mixminion.exits import dane, smtp_tls
from mixminion.exits.dane import Record
from mixminion.exits.mx import Mx
from mixminion.exits.mx_names import Names, resolver
from mixminion.exits.mx_route import Terms
from mixminion.exits.smtp_session import Manner, Timeouts
from mixminion.interfaces import Outcome, OutcomeKind
from mixminion.testing.cases import AsyncTestCase, SyncTestCase
from mixminion.testing.certificates import Authority
from mixminion.testing.smtp import Sink
from tests.exits import kit
from tests.exits.zone import Zone, a, mx, tlsa

reactor: Any = installed

DOMAIN = "example.test"
DELIVERED = Outcome(OutcomeKind.DELIVERED, "smtp-250")


def temporary(reason: str) -> Outcome:
    return Outcome(OutcomeKind.TEMPORARY, reason)


class ParseTests(SyncTestCase):
    def test_usable(self) -> None:
        """Usages, selectors and digests that mail knows; what is too short is none."""
        good = [bytes([usage, 1, 1]) + bytes(32) for usage in (2, 3)]
        bad = [b"", b"\x03\x01\x01", *(bytes([*head]) + b"x" for head in ((0, 1, 1), (1, 0, 1)))]
        bad += [bytes([*head]) + b"x" for head in ((3, 2, 1), (3, 1, 3), (255, 1, 1))]
        self.assertEqual([each.usage for each in dane.parse(good + bad)], [2, 3])


class DaneCase(AsyncTestCase):
    """A mail server at 127.0.0.2 whose certificate is for one.test, and the authority's beside
    it; the zone says that its answers are validated."""

    @override
    def setUp(self) -> None:
        self.zone = Zone()
        udp = self.zone.listen(reactor)
        self.addCleanup(udp.stopListening)
        self.authority = Authority(time.time())
        pem, key = self.authority.issue(["one.test"])
        self.leaf = x509.load_pem_x509_certificate(pem)
        self.root = x509.load_pem_x509_certificate(self.authority.pem)
        options = CertificateOptions(
            privateKey=crypto.load_privatekey(crypto.FILETYPE_PEM, key),
            certificate=crypto.X509.from_cryptography(self.leaf),
            extraCertChain=[crypto.X509.from_cryptography(self.root)],
        )
        self.sink = Sink(reactor, tls=options)
        port = reactor.listenTCP(0, self.sink, interface="127.0.0.2")
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port
        self.tlsa = f"_{self.port}._tcp.one.test"
        self.zone.records = {
            DOMAIN: [mx(1, "one.test")],
            "one.test": [a("127.0.0.2")],
            "two.test": [a("127.0.0.2")],
        }
        self.zone.validated = {DOMAIN, self.tlsa, f"_{self.port}._tcp.two.test"}
        names = Names(lambda: resolver(reactor, [("127.0.0.1", udp.getHost().port)]))
        self.way = Mx(
            reactor,
            SeededRandom(b"mx"),
            names,
            Terms(self.port, 5, 4, internal=True, dane=True),
            Manner("us.test", Timeouts(5, 5, 1)),
            lambda host: smtp_tls.client(smtp_tls.OPPORTUNISTIC, host, None),
            lambda host: smtp_tls.client(smtp_tls.REQUIRED, host, None),
            None,
        )
        self.addCleanup(lambda: ensureDeferred(self.way.stop()))

    def digest(self, certificate: x509.Certificate, selector: int, matching: int) -> bytes:
        octets = certificate.public_bytes(Encoding.DER)
        if selector == 1:
            octets = certificate.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            )
        digests = [octets, hashlib.sha256(octets).digest(), hashlib.sha512(octets).digest()]
        return digests[matching]

    async def send(self) -> Outcome:
        self.way._down.clear()
        [outcome] = (await self.way.send(kit.to_bob())).values()
        return outcome


class DaneTests(DaneCase):
    async def test_fitting(self) -> None:
        """The server's own certificate or key, or its authority's, whole or as a digest."""
        for usage, certificate in ((3, self.leaf), (2, self.root)):
            for selector in (0, 1):
                for matching in (0, 1, 2):
                    data = self.digest(certificate, selector, matching)
                    self.zone.records[self.tlsa] = [tlsa(usage, selector, matching, data=data)]
                    outcome = await self.send()
                    self.assertEqual(outcome, DELIVERED, (usage, selector, matching))
                    self.assertTrue(self.sink.received.pop().tls)

    async def test_not_fitting(self) -> None:
        """Another certificate, another authority, or the authority in the server's place:
        nothing is sent, and nothing in the clear.  One of several records is enough."""
        other = x509.load_pem_x509_certificate(Authority(time.time()).pem)
        wrong = [
            tlsa(3, 1, 1, data=bytes(32)),
            tlsa(3, 1, 1, data=self.digest(self.root, 1, 1)),
            tlsa(2, 1, 1, data=self.digest(other, 1, 1)),
            tlsa(2, 0, 0, data=self.digest(other, 0, 0)),
            tlsa(2, 0, 0, data=b"no certificate"),
        ]
        for record in wrong:
            self.zone.records[self.tlsa] = [record]
            self.assertEqual(await self.send(), temporary("tls-failed"))
        self.assertEqual(self.sink.received, [])
        self.zone.records[self.tlsa].append(tlsa(3, 1, 1, data=self.digest(self.leaf, 1, 1)))
        self.assertEqual(await self.send(), DELIVERED)

    async def test_names(self) -> None:
        """The server's own record holds whatever name is in its certificate; an authority's
        holds for the name alone."""
        self.zone.records[DOMAIN] = [mx(1, "two.test")]
        name = f"_{self.port}._tcp.two.test"
        self.zone.records[name] = [tlsa(2, 1, 1, data=self.digest(self.root, 1, 1))]
        self.assertEqual(await self.send(), temporary("tls-failed"))
        self.zone.records[name] = [tlsa(3, 1, 1, data=self.digest(self.leaf, 1, 1))]
        self.assertEqual(await self.send(), DELIVERED)

    async def test_not_validated(self) -> None:
        """What nobody vouches for is not believed, and stops nothing: neither a certificate,
        nor that of a host whom nobody vouches for."""
        self.zone.records[self.tlsa] = [tlsa(3, 1, 1, data=bytes(32))]
        self.zone.validated = {DOMAIN}
        self.assertEqual(await self.send(), DELIVERED)
        self.zone.validated = {self.tlsa}
        self.zone.asked.clear()
        self.assertEqual(await self.send(), DELIVERED)
        self.assertNotIn((self.tlsa, 52), self.zone.asked)

    async def test_no_answer(self) -> None:
        """Where the question for certificates fails nothing is sent: somebody may be in the
        way.  Another host may do."""
        self.zone.broken.add(self.tlsa)
        self.assertEqual(await self.send(), temporary("dane"))
        self.zone.records[DOMAIN].append(mx(2, "two.test"))
        self.assertEqual(await self.send(), DELIVERED)
        self.flushLoggedErrors(RuntimeError)  # the name server's

    async def test_unusable(self) -> None:
        """Records that mail does not know ask for TLS, by any certificate; they take nothing from
        a check that is wanted all the same."""
        self.zone.records[self.tlsa] = [tlsa(1, 0, 1, data=bytes(32))]
        self.assertEqual(await self.send(), DELIVERED)
        self.assertTrue(self.sink.received.pop().tls)
        manner = self.way._manner
        self.way._manner = replace(manner, required=True)
        self.assertEqual(await self.send(), temporary("tls-failed"))
        self.way._manner = manner
        await self.way.stop()
        self.way._stopping = False
        self.way._relays.clear()
        self.sink.tls = None
        self.assertEqual(await self.send(), temporary("tls-missing"))

    async def test_large(self) -> None:
        """An answer that needs a stream is validated there as well."""
        self.zone.large.add(self.tlsa)
        self.zone.records[self.tlsa] = [tlsa(3, 1, 1, data=bytes(32))] * 15
        self.assertEqual(await self.send(), temporary("tls-failed"))
        self.assertEqual(await self.way._names.certificates("two.test", self.port), None)
        found = await self.way._names.certificates("one.test", self.port)
        self.assertEqual(found, (Record(3, 1, 1, bytes(32)),) * 15)
        await deferLater(reactor, 0.1)  # streams are closed with their last answer
