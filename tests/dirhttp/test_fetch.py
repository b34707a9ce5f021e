"""Fetching documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from typing_extensions import override

from mixminion.counters import Counters
from mixminion.crypto.rng import SeededRandom
from mixminion.directory import canonical, diff
from mixminion.directory.errors import (
    BadDocument,
    DirectoryEarly,
    DirectoryExpired,
    DirectoryOlder,
    NotEnoughSignatures,
    TwoDirectories,
    WrongDigest,
)
from mixminion.directory.parameters import Parameters
from mixminion.dirhttp import requester
from mixminion.dirhttp.cache import DocumentCache, Documents
from mixminion.dirhttp.catalogue import Catalogue
from mixminion.dirhttp.endpoints import ALPN
from mixminion.dirhttp.errors import FetchFailed, NoSources, NothingFetched
from mixminion.dirhttp.fetch import Fetched, Fetcher
from mixminion.dirhttp.files import inline
from mixminion.dirhttp.resource import DocumentsResource, resource
from mixminion.dirhttp.site import QuietSite
from mixminion.dirhttp.sources import Source, dial, over_tls
from mixminion.errors import render
from mixminion.net.alpn import link_factory
from mixminion.net.listeners import bind
from mixminion.net.tls import server_tls
from mixminion.testing.cases import AsyncTestCase
from mixminion.testing.directory import SignedDirectory
from mixminion.util.hostport import HostPort
from tests.directory.network import NOW, WEEK
from tests.dirhttp.kit import PUBLIC, ServingCase, directory, documents
from tests.net.kit import DAY, Party

GOOD, OTHER, THIRD = "192.0.2.1", "192.0.2.2", "192.0.2.3"


def source(host: str) -> Source:
    return Source.parse(f"http://{host}/")


class Answer(Protocol):
    """Answers whatever comes with *octets*, again and again if asked to."""

    octets = b""
    endless = False
    ends = True

    @override
    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(self.octets)
        if self.endless:
            transport.registerProducer(self, False)
        elif self.ends:
            transport.loseConnection()

    def resumeProducing(self) -> None:
        transport: Any = self.transport
        transport.write(b"x" * 65_536)

    def pauseProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class FetchCase(ServingCase):
    """Sources on a virtual clock, asked by one fetcher."""

    def setUp(self) -> None:
        super().setUp()
        self.dialled: list[str] = []
        self.fetcher = Fetcher(self.clock, self.dial, SeededRandom(bytes(32)))
        self.signed = directory("alice", "bob")

    def dial(self, source: Source) -> Any:
        self.dialled.append(source.place.host)
        return self.network.client(source.place.host, source.place.port)

    def serve_directory(self, host: str, signed: SignedDirectory) -> DocumentCache:
        """Serve documents whatever they are worth."""
        cache = DocumentCache(PUBLIC)
        cache._held = documents(signed), signed.view()
        self.serve(cache, host)
        return cache

    def answer(self, host: str, octets: bytes, **options: bool) -> None:
        """Serve nonsense."""
        protocol = type("Answering", (Answer,), {"octets": octets, **options})
        factory = Factory.forProtocol(protocol)
        factory.noisy = False
        self.clock.result_of(self.network.server(host, 80).listen(factory))

    def fetch(self, hosts: Sequence[str], held: Documents | None = None) -> Fetched:
        """With a cache that holds nothing, or *held*."""
        self.mine = DocumentCache(PUBLIC)
        if held is not None:
            self.run_(self.mine.accept(held))
        found = self.fetcher.fetch([source(host) for host in hosts], self.mine)
        return self.run_(found)

    def refused(self, kind: type[Exception], hosts: Sequence[str], **options: Any) -> Any:
        return self.assertRaises(kind, self.fetch, hosts, **options)


class FetchTests(FetchCase):
    """From sources as they are."""

    def test_fetched(self):
        """A consensus and all its key documents, verified, ready for the cache."""
        self.serve_directory(GOOD, self.signed)
        found = self.fetch([GOOD])
        self.assertEqual(found.documents.signed.octets, self.signed.consensus)
        self.assertEqual(found.documents.keys, self.signed.keys)
        self.assertEqual(len(found.report), 4)
        self.assertEqual(str(found.report[0]), "http://192.0.2.1:80/ served the consensus")
        self.run_(self.cache.accept(found.documents))
        self.assertEqual(len(self.cache.view(NOW).servers), 2)
        self.clock.advance(5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_keys_at_hand(self):
        """Key documents that are held are not fetched again."""
        newer = directory("alice", "bob", at=NOW + 60)
        self.clock.advance(60)
        self.assertEqual(newer.keys, self.signed.keys)
        self.serve_directory(GOOD, newer)
        found = self.fetch([GOOD], documents(self.signed))
        digest = documents(self.signed).signed.digest.hex()
        self.assertEqual(self.asked, [f"consensus-diff/{digest}", "consensus"])
        self.assertEqual(found.documents.signed.octets, newer.consensus)
        self.assertEqual(found.documents.keys, self.signed.keys)

    def test_random_order(self):
        """Each source comes first as often as another."""
        hosts = [GOOD, OTHER, THIRD]
        for host in hosts:
            self.serve_directory(host, self.signed)
        firsts: Counter[str] = Counter()
        for _ in range(60):
            self.dialled.clear()
            self.fetch(hosts)
            firsts[self.dialled[0]] += 1
            self.assertEqual(len(set(self.dialled)), 1)
        for host in hosts:
            self.assertGreater(firsts[host], 8)

    def test_another_source(self):
        """Sources that are down or lie are told of, and the next one is asked."""
        self.serve_directory(THIRD, self.signed)
        self.answer(OTHER, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        for seed in range(6):
            self.fetcher = Fetcher(self.clock, self.dial, SeededRandom(bytes([seed] * 32)))
            found = self.fetch([GOOD, OTHER, THIRD])
            self.assertEqual(found.report[-1].source.place.host, THIRD)
            for attempt in found.report:
                said = {GOOD: "no connection", OTHER: "bad-document", THIRD: "served the"}
                self.assertIn(said[attempt.source.place.host], str(attempt))

    def test_keys_elsewhere(self):
        """Key documents that the consensus' source does not have come from another."""
        partial = self.serve_directory(GOOD, self.signed)
        held = documents(self.signed)
        partial._held = type(held)(held.signed, {}), self.signed.view()
        self.serve_directory(OTHER, self.signed)
        for seed in range(4):
            self.fetcher = Fetcher(self.clock, self.dial, SeededRandom(bytes([seed] * 32)))
            self.assertEqual(self.fetch([GOOD, OTHER]).documents.keys, self.signed.keys)
        error = self.refused(NothingFetched, [GOOD])
        self.assertIn("it answered 404", render(error))


class NewestTests(FetchCase):
    """Several sources, of which not all have the newest."""

    def setUp(self):
        super().setUp()
        hour = Parameters(consensus_valid=10_800)
        self.stale, self.fresh = (
            directory("alice", "bob", at=at, parameters=hour) for at in (NOW, NOW + 3600)
        )
        self.clock.advance(3700)

    def seeds(self, hosts: Sequence[str], **options: Any) -> list[Fetched]:
        """What comes of several orders."""
        found = []
        for seed in range(8):
            self.fetcher = Fetcher(self.clock, self.dial, SeededRandom(bytes([seed] * 32)))
            found.append(self.fetch(hosts, **options))
        return found

    def test_fresh(self):
        """Asking goes on until one is fresh, and ends there."""
        self.serve_directory(GOOD, self.stale)
        self.serve_directory(OTHER, self.fresh)
        lengths = set()
        for found in self.seeds([GOOD, OTHER, THIRD]):
            self.assertEqual(found.documents.signed.octets, self.fresh.consensus)
            lengths.add(len([each for each in found.report if each.document == "consensus"]))
        self.assertEqual(lengths, {1, 2, 3})

    def test_stale(self):
        """Where none is fresh the newest is taken, after all were asked."""
        self.serve_directory(GOOD, self.stale)
        hour = Parameters(consensus_valid=10_800)
        newer = directory("alice", "bob", at=NOW + 60, parameters=hour)
        self.serve_directory(OTHER, newer)
        for found in self.seeds([GOOD, OTHER]):
            self.assertEqual(found.documents.signed.octets, newer.consensus)

    def test_nothing_newer(self):
        """What is held already is a good answer."""
        self.serve_directory(GOOD, self.stale)
        found = self.fetch([GOOD], documents(self.stale))
        self.assertEqual(found.documents, documents(self.stale))
        self.assertEqual([each.error for each in found.report], [None])

    def test_fork(self):
        """Two sources with two consensuses of one time: evidence, though neither was held."""
        fork = directory("mallory", at=NOW, parameters=Parameters(consensus_valid=10_800))
        self.serve_directory(GOOD, self.stale)
        self.serve_directory(OTHER, fork)
        for found in self.seeds([GOOD, OTHER]):
            (evidence,) = self.mine.evidence
            self.assertEqual(len(evidence.digests), 2)
            errors = [type(each.error) for each in found.report if each.document == "consensus"]
            self.assertEqual(errors, [type(None), TwoDirectories])

    def test_told(self):
        """Each attempt is told of as it ends."""
        self.serve_directory(OTHER, self.fresh)
        told: list[str] = []
        for seed in range(4):
            fetcher = Fetcher(self.clock, self.dial, SeededRandom(bytes([seed] * 32)))
            told.clear()
            fetching = fetcher.fetch(
                [source(GOOD), source(OTHER)], self.cache, lambda each: told.append(str(each))
            )
            found = self.run_(fetching)
            self.assertEqual(told, [str(each) for each in found.report])

    def test_stopped(self):
        """Who gives up ends the fetch; no other source is asked, and no connection stays."""
        for host in (GOOD, OTHER):
            self.answer(host, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", ends=False)
        fetching = Deferred.fromCoroutine(
            self.fetcher.fetch([source(GOOD), source(OTHER)], self.cache)
        )
        for seconds in (0.0, 0.5):
            self.clock.advance(seconds)
        fetching.cancel()
        self.failureResultOf(fetching, CancelledError)
        self.clock.advance(5)
        self.assertEqual(len(self.dialled), 1)
        self.assertEqual(self.network.connections(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DifferenceTests(FetchCase):
    """What has changed since the documents that are held."""

    def setUp(self):
        super().setUp()
        names = [f"server{i}" for i in range(8)]
        self.before = directory(*names)
        self.after = directory(*names, "another", at=NOW + 60)
        self.held = documents(self.before)
        self.digest = self.held.signed.digest.hex()
        self.theirs = DocumentCache(PUBLIC)
        for each in (self.before, self.after):
            self.run_(self.theirs.accept(documents(each, NOW + 60)))
        self.clock.advance(60)

    def differences(self) -> list[str]:
        """What is asked for where all differences can be had."""
        before, after = (dict(known.periods) for known in reversed(self.theirs.known))
        keys = [f"keys-diff/{before[n].hex()}/{after[n].hex()}" for n in before]
        return [f"consensus-diff/{self.digest}", *keys]

    def test_differences(self):
        """One for the consensus, one for each key document that has changed; nothing whole."""
        self.serve(self.theirs, GOOD)
        found = self.fetch([GOOD], self.held)
        self.assertEqual(self.asked, self.differences())
        self.assertEqual(found.documents.signed.octets, self.after.consensus)
        self.assertEqual(found.documents.keys, self.after.keys)
        self.run_(self.mine.accept(found.documents))
        self.asked.clear()
        again = self.run_(self.fetcher.fetch([source(GOOD)], self.mine))
        digest = found.documents.signed.digest.hex()
        self.assertEqual(self.asked, [f"consensus-diff/{digest}"])
        self.assertEqual(again.documents, found.documents)

    def test_nothing_held(self):
        """Who has nothing, or something that has expired, asks for the whole."""
        self.serve(self.theirs, GOOD)
        self.fetch([GOOD])
        self.assertEqual(self.asked[0], "consensus")
        self.asked.clear()
        self.clock.advance(WEEK)
        self.refused(DirectoryExpired, [GOOD], held=self.held)
        self.assertEqual(self.asked, ["consensus"])

    def test_not_there(self):
        """Sources that know nothing of what is held give the whole."""
        self.serve_directory(GOOD, self.after)
        found = self.fetch([GOOD], self.held)
        self.assertEqual(found.documents.keys, self.after.keys)
        self.assertEqual(self.asked[:2], [f"consensus-diff/{self.digest}", "consensus"])
        self.assertEqual([each.document for each in found.report if each.error], [])

    def spoil(self, spoilt: Callable[[bytes], bytes]) -> None:
        """Serve differences that were changed."""
        catalogue = Catalogue(self.theirs, inline)

        class Lying(DocumentsResource):
            def render(lying, request):
                self.asked.append(request.path.decode().removeprefix("/mixminion/2/"))
                if b"-diff/" not in request.path:
                    return super().render(request)
                item = catalogue.find(request.path.removeprefix(b"/mixminion/2/"))

                async def load():
                    return await item.load()

                octets = self.successResultOf(Deferred.fromCoroutine(load()))
                assert octets is not None
                return spoilt(octets)

        site = QuietSite(Lying(self.theirs, self.clock), self.clock)
        self.clock.result_of(self.network.server(GOOD, 80).listen(site))

    def test_wrong(self):
        """Whatever a source makes of its differences, its whole documents are taken then."""

        def other(octets: bytes) -> bytes:
            return canonical.encode(canonical.decode(octets) | {"signatures": []})

        spoilt: Callable[[bytes], bytes]
        for spoilt in (
            other,
            lambda octets: b"",
            lambda octets: octets[:-1],
            lambda octets: canonical.encode(canonical.decode(octets) | {"removed": [0]}),
            lambda octets: canonical.encode(canonical.decode(octets) | {"version": 2}),
        ):
            with self.subTest(spoilt):
                self.asked.clear()
                self.network.ports.clear()
                self.spoil(spoilt)
                found = self.fetch([GOOD], self.held)
                self.assertEqual(found.documents.signed.octets, self.after.consensus)
                self.assertEqual(found.documents.keys, self.after.keys)
                self.assertIn("consensus", self.asked)
                failed = [each for each in found.report if each.error is not None]
                self.assertEqual({each.document for each in failed}, {"difference"})

    def test_fork(self):
        """A difference that leads to a second consensus for the time of the one held is evidence
        as the whole would be."""
        fork = documents(directory("mallory", at=NOW + 60), NOW + 60)
        self.run_(self.theirs.accept(documents(self.after, NOW + 60)))
        lying = diff.between_consensuses(self.after.consensus, fork.signed.octets)
        self.spoil(lambda octets: lying)
        self.refused(TwoDirectories, [GOOD], held=documents(self.after, NOW + 60))
        self.assertEqual(len(self.mine.evidence), 1)

    def test_nobody_there(self):
        """Who does not answer is not asked a second time."""
        self.refused(NothingFetched, [GOOD], held=self.held)
        self.assertEqual(self.dialled, [GOOD])


class RefusedTests(FetchCase):
    """What is not believed, and what a person is told."""

    def test_no_sources(self):
        """Nobody to ask."""
        self.assertIn("[Directory] sources", render(self.refused(NoSources, [])))

    def test_nobody_there(self):
        """No source answers: what each one said."""
        sentence = render(self.refused(NothingFetched, [GOOD, OTHER]))
        self.assertIn("http://192.0.2.1:80/: no connection", sentence)
        self.assertIn("http://192.0.2.2:80/: no connection", sentence)

    def test_stranger(self):
        """A directory that strangers signed."""
        self.serve_directory(GOOD, self.signed)
        strange = DocumentCache([bytes(32), bytes([1] * 32)])
        refused = self.fetcher.fetch([source(GOOD)], strange)
        error = self.assertRaises(NotEnoughSignatures, self.run_, refused)
        self.assertIn("signed by 0 of the 2 authorities in your configuration", render(error))

    def test_dates(self):
        """Expired and early ones, by the clock of who fetches."""
        self.serve_directory(GOOD, self.signed)
        self.serve_directory(OTHER, directory("alice", "bob", at=NOW + 100))
        self.refused(DirectoryEarly, [OTHER])
        self.clock.advance(WEEK)
        self.assertIn("expired at 2027-01-22", render(self.refused(DirectoryExpired, [GOOD])))

    def test_succession(self):
        """Older than what is held, or another of the same time."""
        self.serve_directory(GOOD, self.signed)
        self.clock.advance(60)
        newer = documents(directory("alice", "bob", at=NOW + 50))
        self.refused(DirectoryOlder, [GOOD], held=newer)
        fork = documents(directory("alice"))
        self.refused(TwoDirectories, [GOOD], held=fork)
        (evidence,) = self.mine.evidence
        self.assertEqual(evidence.valid_after, NOW)
        self.assertIn(self.signed.consensus, self.run_(self.mine.witnesses(evidence)))
        self.fetch([GOOD], held=documents(self.signed))

    def test_wrong_keys(self):
        """A key document other than the one that was asked for."""
        cache = self.serve_directory(GOOD, self.signed)
        held = documents(self.signed)
        lies = dict.fromkeys(self.signed.keys, b"{}")
        cache._held = type(held)(held.signed, lies), self.signed.view()
        self.refused(WrongDigest, [GOOD])

    def test_nonsense(self):
        """Answers that are no answers, and whole ones that are no documents."""
        for number, (octets, kind, why) in enumerate(
            (
                (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", BadDocument, None),
                (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", NothingFetched, "broke"),
                (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", NothingFetched, "answered 404"),
                (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", NothingFetched, "answered 500"),
                (b"HTTP/1.1 302 Go\r\nLocation: http://192.0.2.9/\r\n\r\n", NothingFetched, "302"),
                (b"", NothingFetched, "broke"),
                (b"\x16\x03\x01\x00\x05hello\r\n\r\n", NothingFetched, "broke"),
                (b"220 mail.example ESMTP\r\n", NothingFetched, "broke"),
            )
        ):
            with self.subTest(octets):
                host = f"198.51.100.{number + 1}"
                self.answer(host, octets)
                error = self.refused(kind, [host])
                if why is not None:
                    self.assertIn(why, render(error))
        self.assertNotIn("192.0.2.9", self.dialled)
        self.clock.advance(5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silence(self):
        """A source that takes the connection and says nothing, or half of something."""
        for number, octets in enumerate(
            (b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
        ):
            host = f"198.51.100.{number + 1}"
            self.answer(host, octets, ends=False)
            before = self.clock.seconds()
            self.assertIn("no answer in time", render(self.refused(NothingFetched, [host])))
            self.assertLess(self.clock.seconds() - before, requester.TIMEOUT + 1)
        self.clock.advance(5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_endless(self):
        """Bodies and headers without an end are cut off at their bound."""
        for number, octets in enumerate(
            (
                b"HTTP/1.1 200 OK\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
                b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
                b"HTTP/1.1 200 OK\r\nX: ",
            )
        ):
            host = f"198.51.100.{number + 1}"
            self.answer(host, octets, endless=True)
            getting = self.fetcher.get(source(host), "consensus", 100_000, "consensus")
            before = self.clock.seconds()
            error = self.assertRaises(FetchFailed, self.run_, getting)
            self.assertLess(self.clock.seconds() - before, 5, error.fields)

    def test_no_user_agent(self):
        """A request says nothing about who asks."""
        seen: list[bytes] = []

        class Listening(Answer):
            octets = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"

            @override
            def dataReceived(self, data: bytes) -> None:
                seen.append(data)
                super().dataReceived(data)

        factory = Factory.forProtocol(Listening)
        self.clock.result_of(self.network.server(GOOD, 80).listen(factory))
        self.refused(NothingFetched, [GOOD])
        (request,) = seen
        line, *fields = request.decode().split("\r\n")
        self.assertEqual(line, "GET /mixminion/2/consensus HTTP/1.1")
        expected = ["", "", "Accept-Encoding: gzip", "Connection: close", "Host: 192.0.2.1"]
        self.assertEqual(sorted(fields), expected)


class LinkPortCase(FetchCase):
    """A server's own port: MMTP and documents by ALPN."""

    def setUp(self) -> None:
        super().setUp()
        self.serve_directory(GOOD, self.signed)

    def link_port(self, party: Party) -> Any:
        site = QuietSite(resource(self.held(), self.clock), self.clock)
        protocols: dict[bytes, Any] = {b"mmtp/2": Factory.forProtocol(Protocol), ALPN: site}
        tls = server_tls(party.credentials, list(protocols), self.clock)
        return link_factory(tls, protocols, self.clock, Counters())

    def held(self) -> DocumentCache:
        cache = DocumentCache(PUBLIC)
        cache._held = documents(self.signed), self.signed.view()
        return cache

    @override
    def dial(self, source: Source) -> Any:
        return over_tls(source, super().dial(source), self.clock)

    def test_over_tls(self):
        """Documents come over the link port of a server nobody knows."""
        port = self.link_port(Party(self.clock))
        self.clock.result_of(self.network.server(OTHER, 48099).listen(port))
        place = Source.parse(f"https://{OTHER}:48099/")
        found = self.run_(self.fetcher.fetch([place], self.cache))
        self.assertEqual(found.documents.keys, self.signed.keys)
        # The site's own deadline for a next request ends the connections that are left.
        self.clock.advance(200)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_plain_on_tls(self):
        """Plain HTTP on a link port, and TLS on a plain one, fail with a word."""
        port = self.link_port(Party(self.clock))
        self.clock.result_of(self.network.server(OTHER, 48099).listen(port))
        for text in (f"http://{OTHER}:48099/", f"https://{GOOD}:80/"):
            fetched = self.fetcher.fetch([Source.parse(text)], self.cache)
            error = self.assertRaises(NothingFetched, self.run_, fetched)
            self.assertIn(text, render(error))


class SocketTests(AsyncTestCase):
    """The same over real sockets."""

    async def test_link_port(self):
        """TLS 1.3 on 127.0.0.1, both protocols on one port, IPv6 where there is any."""
        from twisted.internet import reactor

        clock: Any = reactor
        now = clock.seconds()
        cache = DocumentCache(PUBLIC)
        signed = directory("alice", "bob")
        cache._held = documents(signed), signed.view()
        party = Party(clock, int(now) - 5 * DAY, int(now) + 55 * DAY)
        site = QuietSite(resource(cache, clock), clock)
        tls = server_tls(party.credentials, [b"mmtp/2", ALPN], clock)
        factory = link_factory(
            tls, {b"mmtp/2": Factory.forProtocol(Protocol), ALPN: site}, clock, Counters()
        )
        listening = bind(HostPort("127.0.0.1", 0))
        place = HostPort("127.0.0.1", listening.getsockname()[1])
        port = clock.adoptStreamPort(listening.fileno(), listening.family, factory)
        listening.close()
        self.addCleanup(port.stopListening)
        fetcher = Fetcher(clock, dial(clock, clock), SeededRandom(bytes(32)), timeout=10)
        for digest, octets in signed.keys.items():
            found = await fetcher.get(
                Source(place), f"keys/{digest.hex()}", 100_000, "key document"
            )
            self.assertEqual(found, octets)
