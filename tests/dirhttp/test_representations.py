"""Documents as they are sent: made once, shared, bounded."""

from __future__ import annotations

import gc
import gzip
import hashlib
from typing import Any

from twisted.internet.defer import Deferred, succeed

from mixminion.dirhttp.files import inline
from mixminion.dirhttp.representations import Representation, Representations
from mixminion.testing.cases import SyncTestCase

TEXT = b"a long text with little in it " * 100


class RepresentationTests(SyncTestCase):
    """Documents of a test's own."""

    def setUp(self):
        self.made = 0
        self.waiting: list[Deferred[None]] = []

    def begin(self, name: str, octets: bytes | None, *, compressed: bool = True) -> Deferred[Any]:
        def load():
            self.made += 1
            return succeed(octets)

        found = self.representations.get(name, load, compressed=compressed)
        return Deferred.fromCoroutine(found)

    def get(self, name: str, octets: bytes | None, *, compressed: bool = True):
        return self.successResultOf(self.begin(name, octets, compressed=compressed))

    def make(self, kept: int = 10_000) -> None:
        self.representations = Representations(inline, kept)

    def test_forms(self):
        """Compressed where that is wanted and shorter, the same octets at every time; each form
        has a tag of its own."""
        self.make()
        plain = self.get("a", TEXT, compressed=False)
        self.assertEqual((plain.octets, plain.compressed), (TEXT, False))
        short = self.get("a", TEXT)
        self.assertTrue(short.compressed)
        self.assertEqual(gzip.decompress(short.octets), TEXT)
        self.make()
        self.assertEqual(self.get("a", TEXT).octets, short.octets)
        for each in (plain, short):
            self.assertEqual(each.tag, b'"%b"' % hashlib.sha256(each.octets).hexdigest().encode())
        self.assertFalse(self.get("b", b"short").compressed)
        noise = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(40))
        self.assertFalse(self.get("c", noise).compressed)
        self.assertIsNone(self.get("d", None))

    def test_once(self):
        """Made once, for all who ask meanwhile and afterwards."""

        def later(work):
            work()
            self.waiting.append(Deferred())
            return self.waiting[-1]

        self.representations = Representations(later, 10_000)
        asking = [self.begin("a", TEXT) for _ in range(5)]
        self.assertEqual((self.made, len(self.waiting)), (1, 1))
        self.assertNoResult(asking[0])
        self.waiting[0].callback(None)
        found = {id(self.successResultOf(each)) for each in asking}
        self.assertEqual(len(found), 1)
        self.get("a", TEXT)
        self.assertEqual(self.made, 1)

    def test_failed(self):
        """All who wait are told of a failure, and the next one tries again."""

        def fails(work):
            self.waiting.append(Deferred())
            return self.waiting[-1]

        self.representations = Representations(fails)
        asking = [self.begin("a", TEXT) for _ in range(3)]
        self.waiting[0].errback(OSError())
        for each in asking:
            self.failureResultOf(each, OSError)
        self.assertNoResult(self.begin("a", TEXT))
        self.assertEqual(self.made, 2)

    def test_bounded(self):
        """What nobody reads goes when there is too much of it, the longest unread first; what
        somebody reads is there once, whatever else is asked for."""
        self.make(kept=7000)
        held = self.get("0", TEXT, compressed=False)
        for name in "1234":
            self.get(name, TEXT, compressed=False)
        self.assertEqual(self.made, 5)
        self.get("4", TEXT, compressed=False)
        self.get("3", TEXT, compressed=False)
        self.assertEqual(self.made, 5)
        self.assertIs(self.get("0", TEXT, compressed=False), held)
        self.assertEqual(self.made, 5)
        self.get("1", TEXT, compressed=False)
        self.assertEqual(self.made, 6)
        gc.collect()
        alive = [each for each in gc.get_objects() if isinstance(each, Representation)]
        self.assertLessEqual(len([each for each in alive if each.octets == TEXT]), 3)

    def test_longer_than_all(self):
        """A document longer than what is kept is served and not kept."""
        self.make(kept=100)
        self.assertEqual(self.get("a", TEXT, compressed=False).octets, TEXT)
        self.get("a", TEXT, compressed=False)
        self.assertEqual(self.made, 2)
