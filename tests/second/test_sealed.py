"""The second opener on the frozen encrypted messages, and on those that are made now."""

from __future__ import annotations

from base64 import b64decode

from mixminion.payload import sealed
from mixminion.testing.cases import SyncTestCase
from tests import vectors
from tests.second.sealed import Refused, open_sealed


class SealedTests(SyncTestCase):
    def setUp(self) -> None:
        self.frozen = vectors.load("payload/sealed.json")
        self.seed = b64decode(self.frozen["seed"])

    def test_good(self) -> None:
        """Each of the frozen messages."""
        for case in self.frozen["good"]:
            found = open_sealed(self.seed, b64decode(case["sealed"]))
            self.assertEqual(found, (case["kind"], b64decode(case["content"])))

    def test_bad(self) -> None:
        """Each is refused for the reason that stands there."""
        for case in self.frozen["bad"]:
            error = self.assertRaises(Refused, open_sealed, self.seed, b64decode(case["sealed"]))
            self.assertEqual(str(error), case["problem"])

    def test_made_now(self) -> None:
        """What this library seals, as it is and deflated."""
        public = b64decode(self.frozen["public"])
        for size in (1401, 3000):
            text = b"".join(b"line %d\r\n" % number for number in range(60))
            made = sealed.seal(public, text, [1160, 1400, size], sealed.Kind.MAIL)
            self.assertEqual(open_sealed(self.seed, made), (1, text))
