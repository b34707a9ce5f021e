"""Suites: their names, codes and sizes, and that both sides share a secret."""

from __future__ import annotations

from mixminion.crypto.errors import BadPublicKey, LowOrderPoint
from mixminion.crypto.rng import SeededRandom
from mixminion.sphinx import suites
from mixminion.testing.cases import SyncTestCase


class SuiteTests(SyncTestCase):
    def test_constants(self) -> None:
        """The table of packet.rst."""
        table = [
            (s.name, s.string, s.ad.hex(), s.code, s.element, s.carried)
            for s in (suites.XWING, suites.X25519)
        ]
        self.assertEqual(
            table,
            [
                ("xwing", b"mixminion2-xwing", "0201", 1, 1120, 1120),
                ("x25519", b"mixminion2-25519", "0202", 2, 32, 0),
            ],
        )
        self.assertIs(suites.by_name("xwing"), suites.XWING)
        self.assertIs(suites.by_name("x25519"), suites.X25519)
        self.assertRaises(KeyError, suites.by_name, "rsa")

    def test_pairs(self) -> None:
        """A generated pair belongs together; what is stored has 32 octets."""
        for suite, size in ((suites.XWING, 1216), (suites.X25519, 32)):
            private, public = suite.generate()
            self.assertEqual((len(private), len(public)), (32, size))
            self.assertEqual(suite.public(private), public)

    def test_shared(self) -> None:
        """Three hops in a row share what the sender shares with them."""
        random = SeededRandom(b"shared")
        for suite in (suites.XWING, suites.X25519):
            sender = suite.sender(random)
            following = None
            for _ in range(3):
                private, public = suite.generate()
                element, secret = sender.share(public)
                self.assertEqual(len(element), suite.element)
                self.assertEqual(suite.receiver(private).secret(element), secret)
                if suite is suites.X25519 and following is not None:
                    self.assertEqual(element, following)
                seed = random.octets(32)
                sender.blind(seed)
                following = suite.next_element(element, b"", seed)

    def test_bad_public_keys(self) -> None:
        """A sender refuses keys that are none, and points of low order."""
        random = SeededRandom(b"bad")
        for suite in (suites.XWING, suites.X25519):
            good = suite.generate()[1]
            self.assertRaises(BadPublicKey, suite.sender(random).share, good[:-1])
            self.assertRaises(BadPublicKey, suite.sender(random).share, b"")
            low = good[:-32] + bytes(32)
            self.assertRaises(LowOrderPoint, suite.sender(random).share, low)
