"""Key documents."""

from __future__ import annotations

from mixminion.crypto import kdf
from mixminion.directory import canonical
from mixminion.directory.errors import BadDocument, WrongDigest
from mixminion.directory.keydoc import KeyDocument
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import PERIOD, keys, server


class KeyDocumentTests(SyncTestCase):
    """Documents named by their digests."""

    def setUp(self):
        self.document = keys([server("alice"), server("bob")], PERIOD)

    def read(self, octets: bytes) -> KeyDocument:
        return KeyDocument.read(octets, kdf.sha256(octets))

    def test_round_trip(self):
        """Read back as it was."""
        self.assertEqual(self.read(self.document.encode()), self.document)
        self.assertEqual(len(list(self.document)), 2)

    def test_digest(self):
        """Only the octets that were asked for, to the bit."""
        octets = self.document.encode()
        digest = kdf.sha256(octets)
        for other in (octets + b" ", octets[:-1], b"", bytes([octets[0] ^ 1]) + octets[1:]):
            self.assertRaises(WrongDigest, KeyDocument.read, other, digest)

    def test_refused(self):
        """Keys out of order, twice, of another length, and what is no document."""
        value = canonical.decode(self.document.encode())
        first, second = value["keys"]
        for changes in (
            {"keys": [second, first]},
            {"keys": [first, first]},
            {"keys": [first | {"key": "AAAA"}]},
            {"suite": "x25519"},
            {"period": -1},
        ):
            octets = canonical.encode(value | changes)
            self.assertRaises(BadDocument, self.read, octets)
        for octets in (b"", b"[]", b"{}"):
            self.assertRaises(BadDocument, self.read, octets)
