"""The directory a client uses, from first fetch to last day."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from mixminion.client import comparison, life
from mixminion.client.progress import Asked, Compared, Fetching, Finding, Warned
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.digests import Digests, Held
from mixminion.directory.errors import (
    BadDocument,
    DirectoryEarly,
    DirectoryOlder,
    NotEnoughSignatures,
    TwoDirectories,
)
from mixminion.dirhttp.cache import Documents
from mixminion.dirhttp.errors import NothingFetched
from mixminion.errors import render
from mixminion.testing.directory import sign_directory
from tests.client.caches import HOUR, REAL, CachesCase, host
from tests.directory.network import NOW, published
from tests.dirhttp.kit import PRIVATE, PUBLIC, directory


class UseTests(CachesCase):
    """What is held is used without asking anybody, for as long as it may be."""

    def test_first(self):
        """The first use fetches, and says so; many who ask at once wait for one fetch."""
        self.publish()
        views = [Deferred.fromCoroutine(self.directory.view(self.events.append)) for _ in range(5)]
        self.assertEqual(len({id(self.ask(view)) for view in views}), 1)
        self.assertEqual(len(self.told(Fetching)), 1)
        self.dialled.clear()
        self.view()
        self.assertEqual((self.dialled, self.events), ([], []))

    def test_kept(self):
        """Another run uses what is on the disk."""
        self.publish()
        self.update()
        self.start()
        self.dialled.clear()
        self.assertEqual(len(self.view().servers), 4)
        self.assertEqual((self.dialled, self.events), ([], []))

    def test_last_day(self):
        """Expired for one hour, 23 and 25: used with a warning each time and without asking
        anybody; then refused, with the reason why there is no other."""
        self.publish()
        self.update()
        self.dialled.clear()
        for hours, left in ((1, "23 hours"), (23, "1 hour")):
            self.clock.run_until(float(NOW + (3 + hours) * HOUR))
            for _ in range(2):
                self.view()
                (warned,) = self.told(Warned)
                self.assertEqual(warned.warning.code, "directory-overdue")
                self.assertIn(f"is used for another {left}", warned.warning.sentence)
            self.start()
        self.assertEqual(self.dialled, [])
        self.clock.run_until(float(NOW + 28 * HOUR))
        for number in self.caches:
            self.stop_listening(number)
        error = self.assertRaises(NothingFetched, self.view)
        self.assertIn("no connection", render(error))
        self.assertEqual(len(self.told(Fetching)), 1)

    def test_after_the_last_day(self):
        """Where nothing is left to use, whoever asks has one fetched."""
        self.publish()
        self.update()
        self.clock.advance(28 * HOUR)
        signed = self.publish().signed
        view = self.view()
        self.assertEqual(view.consensus, signed.consensus)
        self.assertEqual((len(self.told(Fetching)), self.told(Warned)), (1, []))

    def test_early(self):
        """A clock that was put back is told of, and no reason to fetch."""
        self.publish()
        self.update()
        self.clock._now -= 7200
        self.dialled.clear()
        self.assertRaises(DirectoryEarly, self.view)
        self.assertEqual(self.dialled, [])

    def test_not_kept_up_by_a_fetch(self):
        """A fetch that takes its time delays nobody who has something to use."""
        self.publish()
        self.update()
        for number in self.caches:
            self.talk(number, b"")
        fetching = Deferred.fromCoroutine(self.directory.update())
        self.clock.advance(1)
        before = self.clock.seconds()
        self.view()
        self.assertEqual(self.clock.seconds(), before)
        self.assertRaises(NothingFetched, self.ask, fetching)

    def test_damaged(self):
        """What is on the disk and cannot be believed is fetched again, and the reason kept."""
        self.publish()
        self.update()
        self.start()
        path = self.folder / "directory" / "consensus"
        path.write_bytes(path.read_bytes()[:-40])
        self.assertEqual(len(self.view().servers), 4)
        self.assertEqual(len(self.told(Fetching)), 1)
        self.assertIsNone(self.directory.unusable)

    def test_another_program(self):
        """What another program has fetched into the same folder is seen by the next fetch, even
        if that one came between; it is never overwritten by something older."""
        first = self.publish()
        self.update()
        directory, cache = self.directory, self.cache
        self.clock.advance(HOUR)
        second = self.publish()
        self.start(b"other")
        self.update()
        for number in self.caches:
            self.stop_listening(number)
        self.assertRaises(NothingFetched, self.ask, directory.update())
        self.assertEqual(self.ask(directory.view()).consensus, second.signed.consensus)

        for number in self.caches:
            self.serve(number, second)
        self.begin(b"slow", first)
        directory, cache = self.directory, self.cache
        updating = Deferred.fromCoroutine(directory.update())
        self.clock.run_until(lambda: bool(self.wire.connections("127.0.0.1")))
        third = self.publish(self.clock.seconds() + 60, ())
        self.start(b"fast")
        self.ask(self.cache.accept(third))
        self.assertEqual(self.ask(updating), third.signed.consensus)
        self.assertEqual(cache.signed.digest, third.signed.digest)


class FetchTests(CachesCase):
    """Where the next one comes from, whatever the sources are worth."""

    def test_servers_of_the_network(self):
        """With a directory at hand the network's own servers are asked as well: all the
        configured ones may be gone."""
        self.publish()
        self.update()
        self.clock.advance(HOUR)
        for number in (1, 2):
            self.stop_listening(number)
        signed = self.publish().signed
        self.assertEqual(self.update(), signed.consensus)

    def test_configured_last(self):
        """When none of a large network's servers that were drawn answers, those that are
        configured are asked."""
        held = self.publish(None, None, *(f"mix{n}" for n in range(1, 60)))
        self.clock.advance(HOUR)
        signed = self.publish(None, (1, 2)).signed
        for number in (3, 4):
            self.stop_listening(number)
        fell_back = 0
        for seed in range(8):
            self.begin(bytes([seed]), held)
            self.assertEqual(self.update(), signed.consensus)
            failed = [each for each in self.told(Asked) if each.error is not None]
            fell_back += len(failed) >= life.ASKED
        self.assertGreater(fell_back, 2)

    def test_lies(self):
        """Old, garbled, silent, slow and endless sources beside a good one cost time and nothing
        else; each is told of."""
        old = self.publish()
        self.clock.advance(HOUR)
        new = self.publish(to=(4,)).signed
        stranger = sign_directory(
            [published(name, n) for n, name in enumerate(self.names, 1)],
            [b"x" * 32, b"y" * 32, b"z" * 32],
            now=self.clock.seconds(),
            parameters=REAL,
        ).consensus
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
        for octets, endless, code, longest in (
            (head % 5 + b"hello", False, "bad-document", 1),
            (head % len(stranger) + stranger, False, "directory-signatures", 1),
            (b"", False, "fetch-failed", 61),
            (head % 90_000 + b"x", False, "fetch-failed", 61),
            (b"HTTP/1.1 200 OK\r\n\r\n", True, "fetch-failed", 10),
        ):
            for number in (1, 2, 3):
                self.talk(number, octets, endless)
            asked: set[str] = set()
            for seed in range(4):
                self.begin(bytes([seed]) + octets[:9], old)
                before = self.clock.seconds()
                self.assertEqual(self.update(), new.consensus)
                self.assertLess(self.clock.seconds() - before, 3 * longest + 15)
                asked |= {each.error.code for each in self.told(Asked) if each.error}
            self.assertIn(code, asked)

    def test_all_lie(self):
        """When no source is worth anything, the gravest reason is told, and what is held stays."""
        held = self.publish()
        self.clock.advance(HOUR)
        for number in self.caches:
            self.talk(number, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        self.begin(b"lies", held)
        self.assertRaises(BadDocument, self.update)
        self.assertEqual(self.view().consensus, held.signed.consensus)

    def test_stale(self):
        """A source that has not got the newest is believed, but others are asked for it."""
        held = self.publish()
        self.clock.advance(HOUR)
        new = self.publish(to=(3, 4)).signed
        for seed in range(10):
            self.begin(bytes([seed]), held)
            self.assertEqual(self.update(), new.consensus)
        for number in (3, 4):
            self.serve(number, held)
        self.begin(b"stale", held)
        self.assertEqual(self.update(), held.signed.consensus)
        asked = [each for each in self.told(Asked) if each.document == "consensus"]
        self.assertEqual(len(asked), 4)

    def test_never_back(self):
        """When all the others have something older, what is held stays, and that is told."""
        old = self.publish()
        self.clock.advance(HOUR)
        new = self.publish(to=())
        for number in self.caches:
            self.serve(number, old)
        self.begin(b"back", new)
        self.assertRaises(DirectoryOlder, self.update)
        self.start()
        self.assertEqual(self.view().consensus, new.signed.consensus)

    def test_too_few_signatures(self):
        """A directory that too few authorities have signed is none."""
        self.publish()
        self.talk_directory(PRIVATE[:1])
        self.assertRaises(NotEnoughSignatures, self.update)

    def talk_directory(self, signers: Sequence[bytes]) -> None:
        octets = sign_directory(
            [published(name, n) for n, name in enumerate(self.names, 1)],
            signers,
            now=self.clock.seconds(),
            parameters=REAL,
        ).consensus
        for number in self.caches:
            self.talk(
                number, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(octets) + octets
            )


class ForkTests(CachesCase):
    """Two directories for one time, both signed by enough authorities."""

    def fork(self, of: Documents) -> Documents:
        """Another one of the same time."""
        moment = of.signed.consensus.valid_after
        found = directory("mix1", "mix2", at=moment, parameters=REAL)
        return Documents(SignedConsensus.verify(found.consensus, PUBLIC, moment), found.keys)

    def assert_evidence(self, one: Documents, other: Documents) -> None:
        """It is kept, with both documents, and told of at each use, in this run and the next."""
        digests = {one.signed.digest, other.signed.digest}
        for _ in range(2):
            self.view()
            (warned,) = self.told(Warned)
            self.assertEqual(warned.warning.code, "two-directories")
            (evidence,) = self.cache.evidence
            self.assertEqual({*evidence.digests}, digests)
            octets = self.ask(self.cache.witnesses(evidence))
            self.assertEqual(set(octets), {one.signed.octets, other.signed.octets})
            self.start()

    def test_shown_by_a_comparison(self):
        """A cache that is asked for a comparison shows another one: it is fetched, and found to
        be signed; the first one stays."""
        held = self.publish()
        other = self.fork(held)
        for number in (2, 3, 4):
            self.serve(number, other)
        self.begin(b"fork", held)
        self.wire.part(["127.0.0.1"], [host(2), host(3), host(4)])
        parted = Deferred.fromCoroutine(self.directory.update(self.events.append))
        self.clock.run_until(lambda: any(each.error is None for each in self.told(Asked)))
        self.wire.heal()
        self.assertEqual(self.ask(parted), held.signed.consensus)
        findings = [each.finding for each in self.told(Compared)]
        self.assertEqual(findings, [Finding.FORKED, Finding.FORKED])
        self.assert_evidence(held, other)

    def test_shown_by_a_source(self):
        """So it is when a source serves it in the first place."""
        held = self.publish()
        other = self.fork(held)
        for number in self.caches:
            self.serve(number, other)
        self.begin(b"fork", held)
        error = self.assertRaises(TwoDirectories, self.update)
        self.assertIn("The first one stays", render(error))
        self.assertEqual(self.view().consensus, held.signed.consensus)
        self.assert_evidence(held, other)

    def test_of_an_earlier_time(self):
        """A fork is seen for an hour or two after both sides have gone on."""
        first = self.publish()
        self.begin(b"past", first)
        self.clock.advance(HOUR)
        second = self.publish()
        self.ask(self.directory.load())
        self.ask(self.cache.accept(second))
        other = self.fork(first)
        for number in (2, 3, 4):
            self.serve(number, other)
            self.ask(self.caches[number].accept(second))
        self.update()
        self.assertIn(Finding.FORKED, [each.finding for each in self.told(Compared)])
        self.assert_evidence(first, other)

    def test_unsigned(self):
        """A cache that only claims another one is told of; that is no evidence."""
        held = self.publish()
        listed = Digests(digests=(Held(digest=b"x" * 32, valid_after=NOW),)).encode()
        for number in (2, 3, 4):
            self.talk(
                number, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(listed) + listed
            )
        self.begin(b"claim", held)
        self.assertEqual(self.update(), held.signed.consensus)
        findings = [each.finding for each in self.told(Compared)]
        self.assertEqual(set(findings), {Finding.UNSIGNED})
        self.view()
        self.assertEqual((self.told(Warned), self.cache.evidence), ([], ()))

    def test_same(self):
        """Everybody else has what we have; the two that are asked did not serve it."""
        self.publish()
        self.update()
        self.assertEqual([each.finding for each in self.told(Compared)], [Finding.SAME] * 2)
        served = {each.source for each in self.told(Asked) if each.error is None}
        compared = {each.source for each in self.told(Compared)}
        self.assertEqual((len(compared), served & compared), (2, set()))

    def test_nothing_in_common(self):
        """Caches of another age, or that say nothing, in a short time."""
        old = self.publish()
        self.clock.advance(2 * HOUR)
        new = self.publish(to=(1,))
        self.serve(2, old)
        self.stop_listening(3)
        self.talk(4, b"")
        findings: set[Finding] = set()
        for seed in range(20):
            self.begin(bytes([seed]), new)
            before = self.clock.seconds()
            self.update()
            self.assertLess(self.clock.seconds() - before, 61 + comparison.TIMEOUT)
            findings |= {each.finding for each in self.told(Compared)}
        self.assertEqual(findings, {Finding.OTHER_TIMES, Finding.SILENT})

    def test_broken_chain(self):
        """A directory that follows another one than the one held is told of."""
        held = self.publish()
        self.begin(b"chain", held)
        self.clock.advance(HOUR)
        self.publish(previous=b"x" * 32)
        self.update()
        self.assertEqual([each.warning.code for each in self.told(Warned)], ["directory-chain"])
