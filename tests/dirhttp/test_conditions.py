"""What a request's header fields ask for."""

from __future__ import annotations

from mixminion.dirhttp.conditions import Beyond, accepts_gzip, part_of
from mixminion.testing.cases import SyncTestCase


class CodingTests(SyncTestCase):
    """Accept-Encoding."""

    def test_accepted(self):
        """By name or by a star, with any weight but nought."""
        for field in (
            b"gzip",
            b"GZip",
            b"deflate, gzip",
            b"gzip;q=0.5",
            b" br ,gzip ; q=1.000,",
            b"*",
            b"*;q=0.001",
            b"identity;q=0, gzip",
            b"gzip, *;q=0",
        ):
            self.assertTrue(accepts_gzip(field), field)

    def test_not_accepted(self):
        """Not named, forbidden, or nonsense."""
        for field in (
            None,
            b"",
            b"identity",
            b"gzip;q=0",
            b"gzip;q=0.000, *",
            b"*;q=0",
            b"gzipped",
            b"x-gzip",
            b"gzip;q=2",
            b"gzip;q=0.5;q=0.5",
            b"gzip q=1",
            b"gzip;level=9",
            b"\xff, gzip",
        ):
            self.assertFalse(accepts_gzip(field), field)


class RangeTests(SyncTestCase):
    """Range, of 100 octets."""

    def test_parts(self):
        """From, from and to, the last ones; no further than the end."""
        for field, part in (
            (b"bytes=0-", (0, 100)),
            (b"bytes=40-", (40, 100)),
            (b"bytes=99-", (99, 100)),
            (b"bytes=0-0", (0, 1)),
            (b"bytes=10-19", (10, 20)),
            (b"bytes=90-1000", (90, 100)),
            (b"bytes=-10", (90, 100)),
            (b"bytes=-1000", (0, 100)),
            (b"bytes= 5-9 ", (5, 10)),
        ):
            self.assertEqual(part_of(field, 100), part, field)

    def test_nothing_there(self):
        """Beyond the end, or none at all."""
        for field in (b"bytes=100-", b"bytes=100-200", b"bytes=-0"):
            self.assertEqual(part_of(field, 100), Beyond.BEYOND, field)
        self.assertEqual(part_of(b"bytes=-5", 0), Beyond.BEYOND)

    def test_the_whole(self):
        """Several parts, other units and nonsense are as if nothing had been asked."""
        for field in (
            None,
            b"",
            b"bytes=",
            b"bytes=-",
            b"bytes=0-1,5-6",
            b"bytes=9-5",
            b"octets=0-5",
            b"bytes=a-b",
            b"bytes=+1-5",
            b"bytes=0-5;x",
            b"bytes=" + b"9" * 16 + b"-",
        ):
            self.assertIsNone(part_of(field, 100), field)
