"""Streams from servers and clients of other protocols: HTTP both ways, SMTP answers, TLS."""

from __future__ import annotations

import gzip
import re
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from mixminion.crypto.rng import SeededRandom
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.errors import FetchFailed
from mixminion.dirhttp.fetch import Fetcher
from mixminion.dirhttp.requester import TRIES
from mixminion.dirhttp.resource import resource
from mixminion.dirhttp.site import QuietSite
from mixminion.dirhttp.sources import Source
from mixminion.exits.smtp_auth import Credentials
from mixminion.exits.smtp_session import Envelope, Manner, Session, Timeouts, Unreachable
from mixminion.mail.compose import Mail, outgoing
from mixminion.mail.errors import EightBit
from mixminion.net import certificates, links, tls
from mixminion.net.errors import LinkRefused
from mixminion.net.refusals import translate
from mixminion.testing.clock import HeapClock
from tests.directory.network import NOW as DIRECTORY_NOW
from tests.dirhttp import kit
from tests.fuzz import mutators
from tests.fuzz.driver import Subject, Target
from tests.fuzz.targets.links import chance
from tests.fuzz.targets.wire import Wire, talk
from tests.net.kit import NOW, Party


def _requests() -> Subject:
    """A client that asks for documents."""
    clock = HeapClock(DIRECTORY_NOW)
    cache = DocumentCache(kit.PUBLIC)
    accepting = cache.accept(kit.documents(kit.directory("alice")))
    clock.result_of(Deferred.fromCoroutine(accepting))
    cache.descriptor = b"{}"
    signed = cache.signed
    assert signed is not None
    keys = signed.consensus.key_periods[0].keys.hex().encode()
    digest = signed.digest.hex().encode()
    tree = resource(cache, clock)
    corpus = [
        b"GET /mixminion/2/consensus HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HEAD /mixminion/2/keys/" + keys + b" HTTP/1.0\r\n\r\n",
        b"GET /mixminion/2/descriptor HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n" * 3,
        b"GET /mixminion/2/consensus HTTP/1.1\r\nAccept-Encoding: gzip\r\nRange: bytes=9-\r\n\r\n",
        b"GET /mixminion/2/consensus-diff/" + digest + b" HTTP/1.1\r\nRange: bytes=-9\r\n\r\n",
        b"GET /mixminion/2/keys-diff/" + keys + b"/" + keys + b" HTTP/1.1\r\nIf-Range: x\r\n\r\n",
        b"GET /mixminion/2/digests HTTP/1.1\r\nRange: bytes=0-9\r\n\r\n",
        b"POST /mixminion/2/descriptor HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
        b"GET http://h/x?a=%zz&b HTTP/1.1\r\nCookie: a=b; c\r\nExpect: 100-continue\r\n\r\n",
    ]

    def run(octets: bytes) -> object:
        random = chance(octets)
        site = QuietSite(tree, clock, longest_upload=random.choice((0, 0, 16)))
        channel: Any = site.buildProtocol(None)
        wire = Wire()
        channel.makeConnection(wire)
        for _ in talk(channel, wire, octets, random):
            clock.advance()
        clock.advance(2000)
        assert not clock.getDelayedCalls()
        said = wire.value()
        assert not said or said.startswith(b"HTTP/1.")
        assert b"Server:" not in said and b"<html" not in said.lower()
        return said[9:12], said.count(b"HTTP/1.")

    return Subject(run, corpus)


@implementer(IStreamClientEndpoint)
class _Endpoint:
    """Connects at once, to a wire."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.protocol: Any = None

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        self.protocol = protocolFactory.buildProtocol(None)
        self.protocol.makeConnection(self.wire)
        return succeed(self.protocol)


def _responses() -> Subject:
    """A server that answers a request for a document."""
    clock = HeapClock()
    source = Source.parse("http://192.0.2.1/")
    random_source = SeededRandom(b"fetch")
    packed = gzip.compress(b"hello" * 30)
    corpus = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + b"x" * 300,
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
        + packed,
        b'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: 9\r\n\r\nhello',
    ]

    def run(octets: bytes) -> object:
        random = chance(octets)
        endpoint = _Endpoint()
        fetcher = Fetcher(clock, lambda source: endpoint, random_source)
        done: list[object] = []
        getting = Deferred.fromCoroutine(fetcher.get(source, "consensus", 200, "consensus"))
        _ = getting.addBoth(done.append)
        for _ in talk(endpoint.protocol, endpoint.wire, octets, random):
            clock.advance()
        clock.advance(100)
        assert len(done) == 1 and not clock.getDelayedCalls()
        assert endpoint.wire.value().count(b"\r\n\r\n") <= TRIES
        if isinstance(done[0], Failure):
            done[0].trap(FetchFailed)
            return done[0].value.fields["why"]
        assert isinstance(done[0], bytes) and len(done[0]) <= 200
        return True

    return Subject(run, corpus)


_ENDINGS = re.compile(r"smtp-[0-9]{1,3}|[a-z-]{2,20}")


def _mail(body: bytes) -> Mail:
    return outgoing(
        b"Subject: x\r\n\r\n" + body,
        sender="a@mix.example",
        recipients=["bob@example.org"],
        message_id="<x@mix.example>",
        date=0,
    )


def _smtp() -> Subject:
    """A mail server that is given a plain mail and then one of eight bits."""
    clock = HeapClock()
    timeouts = Timeouts(answer=300, final=600, idle=10)
    recipients = ("bob@example.org", "eve@example.org")
    mails = [_mail(b"hello\r\n.\r\n"), _mail(b"\xff" * 40_000)]
    hello = b"220 mx\r\n250-mx\r\n250-8BITMIME\r\n250 SIZE 1000\r\n"
    sent = b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"
    started = b"220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n250-mx\r\n"
    corpus = [
        hello + sent * 2,
        hello + sent + b"421 bye\r\n",
        hello + b"250 ok\r\n550 no\r\n450 later\r\n503 no\r\n250 ok\r\n" + sent,
        b"220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n250-mx\r\n250 SIZE\r\n" + sent,
        hello.replace(b"250 SIZE", b"250-PIPELINING\r\n250 SIZE") + sent * 2,
        started + b"250 AUTH PLAIN\r\n235 ok\r\n" + sent,
        started + b"250 AUTH LOGIN\r\n334 \r\n334 \r\n235 ok\r\n" + sent,
        b"220 mx\r\n500 what\r\n250 mx\r\n" + sent,
        b"554 go away\r\n221 bye\r\n",
    ]

    def run(octets: bytes) -> object:
        random = chance(octets)
        wire = Wire()
        waiting = list(mails)
        results: list[object] = []
        begun = 0
        closed: list[str] = []

        def idle(session: Session) -> None:
            nonlocal begun
            if not waiting:
                session.quit()
                return
            try:
                sending = session.send(Envelope("a@mix.example", recipients, waiting.pop(0)))
            except EightBit:
                session.quit()
            else:
                begun += 1
                _ = sending.addBoth(results.append)

        mode = random.randrange(4)
        manner = Manner(
            hello="mix.example",
            timeouts=timeouts,
            tls=object() if mode else None,  # type: ignore[arg-type]
            required=mode >= 2,
            credentials=Credentials("user", b"password") if mode == 3 else None,
        )
        session = Session(clock, manner, idle, lambda session, word: closed.append(word))
        session.makeConnection(wire)
        for _ in talk(session, wire, octets, random):
            clock.advance(random.choice((0, 0, 0, 1, 400)))
        clock.advance(2000)
        assert len(closed) == 1 and _ENDINGS.fullmatch(closed[0]), closed
        assert len(results) == begun and not clock.getDelayedCalls()
        said = wire.value()
        assert mode < 2 or wire.tls or b"MAIL" not in said
        assert wire.tls or b"AUTH" not in said
        for result in results:
            if isinstance(result, Failure):
                error = result.trap(Unreachable) and result.value
                assert _ENDINGS.fullmatch(error.reason), error.reason
            else:
                assert isinstance(result, dict) and set(result) == set(recipients)
                assert all(isinstance(code, int) for code in result.values())
        taken = sum(isinstance(each, dict) and 250 in each.values() for each in results)
        assert taken <= said.count(b"\r\n.\r\n")
        return closed[0], len(results), taken

    return Subject(run, corpus)


# -- TLS ---------------------------------------------------------------------------------


def _signing_certificates() -> Subject:
    party = Party(HeapClock())
    link = party.credentials.current()
    other = links.certify(bytes(32), bytes(range(32)), NOW, NOW + 30 * 86_400)
    corpus = [party.certificate, other, _der(link.certificate)]
    signed = [certificates.load(each).tbs_certificate_bytes for each in corpus]

    def run(octets: bytes) -> object:
        certificate = certificates.load(octets)
        found = certificates.read_signing(certificate)
        assert len(found.identity) == len(found.public) == 32
        assert certificate.tbs_certificate_bytes in signed
        return True

    return Subject(run, corpus)


def _der(certificate: Any) -> bytes:
    octets: bytes = certificate.public_bytes(Encoding.DER)
    return octets


class _Shown:
    """A certificate as OpenSSL hands it to its callback."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def to_cryptography(self) -> Any:
        return certificates.load(self._octets)


def _chains() -> Subject:
    """Both certificates of a chain as they are judged inside the handshake."""
    clock = HeapClock(NOW)
    party = Party(clock)
    link = _der(party.credentials.current().certificate)
    signed = certificates.load(party.certificate).tbs_certificate_bytes
    context = SSL.Context(SSL.TLS_METHOD)
    corpus = [party.certificate + link, party.certificate * 2, link + link]

    def run(octets: bytes) -> object:
        random = chance(octets)
        end = 4 + int.from_bytes(octets[2:4])  # of the first, as long as it is one
        connection = tls.LinkConnection(context, party.public, clock)
        first, second = random.choice((20, 20, 20, 0)), random.choice((0, 0, 9, 10, 7))
        taken = tls._verify(connection, _Shown(octets[:end]), first, 1, 0)
        taken = taken and tls._verify(connection, _Shown(octets[end:]), second, 0, 0)
        assert (connection.refusal is None) is taken
        assert (connection.peer_identity == party.public) is taken
        assert not taken or certificates.load(octets[:end]).tbs_certificate_bytes == signed
        return type(connection.refusal)

    return Subject(run, corpus)


def _hellos() -> Subject:
    """The first octets on a port that speaks TLS, to the first answer."""
    clock = HeapClock(NOW)
    party = Party(clock)
    listening = tls.server_tls(party.credentials, [b"mmtp/2", b"http/1.1"], clock)
    corpus = []
    for groups in (tls.HYBRID, tls.CLASSICAL):
        for alpn in (b"mmtp/2", b"h2"):
            dialling = tls.client_tls(None, None, [alpn], clock, groups)
            client = dialling.clientConnectionForTLS(None)
            client.set_connect_state()
            try:
                client.do_handshake()
            except SSL.WantReadError:
                corpus.append(client.bio_read(65_536))
    corpus.append(b"GET / HTTP/1.1\r\n\r\n")

    def run(octets: bytes) -> object:
        connection = listening.serverConnectionForTLS(None)
        connection.set_accept_state()
        connection.bio_write(octets or b"\0")
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            return "more"
        except SSL.Error as error:
            refusal = translate(Failure(error), None)
            assert isinstance(refusal, LinkRefused)
            return refusal.code
        raise AssertionError("a handshake without the client's Finished")

    return Subject(run, corpus)


_HTTP_WORDS = (
    b"GET ", b"HEAD ", b"POST ", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"Content-Length: ", b"-1",
    b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Connection: upgrade\r\n",
    b"Expect: 100-continue\r\n", b"/mixminion/2/", b"%00", b"If-None-Match: ", b"0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 101 x\r\n", b"HTTP/1.1 204 x\r\n", b"HTTP/1.1 100 x\r\n\r\n",
    b"Content-Encoding: gzip\r\n", b"ffffffffffffffff\r\n", b";x=y\r\n", b"\xff", b"Host: a, b\r\n",
    b"If-Modified-Since: x\r\n", b"Range: bytes=0-\r\n", b"Content-Type: multipart/form-data\r\n",
    b"\r\n\r\n", b"If-Range: ", b"bytes=", b"gzip;q=0,", b"digests", b"-diff/",
)  # fmt: skip
_SMTP_WORDS = (
    b"250 ok\r\n", b"250-", b"354 go\r\n", b"220 mx\r\n", b"421 \r\n", b"550 ", b"450 ", b"-",
    b"250-STARTTLS\r\n", b"250-8BITMIME\r\n", b"999 ", b"000 x\r\n", b"25", b"2\xb2\xb2 x\r\n",
    b"250-\r\n", b"334 \r\n", b"+50 x\r\n", b" 50", b"250\r\n", b"500 no\r\n", b"221 ",
    b"250-AUTH PLAIN\r\n", b"\r\n",
)  # fmt: skip

TARGETS = [
    Target("http-request", _requests, (), mutators.LINES, _HTTP_WORDS, 16_384),
    Target("http-response", _responses, (), mutators.LINES, _HTTP_WORDS, 4096),
    Target("smtp", _smtp, (), mutators.LINES, _SMTP_WORDS, 20_000),
    Target(
        "signing-certificate", _signing_certificates, (certificates.NotOfProfile,), mutators.DER
    ),
    Target("chain", _chains, (), mutators.DER),
    Target("tls-hello", _hellos, longest=4096),
]
