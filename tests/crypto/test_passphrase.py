"""What a passphrase protects."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mixminion.crypto import passphrase
from mixminion.crypto.passphrase import HEAD, DoesNotOpen, Passphrase, UnknownForm, is_sealed
from mixminion.crypto.rng import SeededRandom
from mixminion.testing.cases import SyncTestCase

WORDS = b"correct horse"


def one(words: bytes = WORDS, seed: bytes = b"1") -> Passphrase:
    return Passphrase(words, SeededRandom(seed))


class PassphraseTests(SyncTestCase):
    def test_opens(self):
        """What one sealed another one with the same passphrase opens; it is not in the file."""
        sealed = one().seal(b"a key", b"for this")
        self.assertTrue(is_sealed(sealed))
        self.assertNotIn(b"a key", sealed)
        self.assertEqual(one(seed=b"2").open(sealed, b"for this"), b"a key")

    def test_by_hand(self):
        """The form as it is documented, opened with the library alone."""
        sealed = one().seal(b"a key", b"for this")
        head, rest = sealed[: HEAD.size], sealed[HEAD.size :]
        self.assertEqual((sealed[:8], len(head)), (b"MIXSEAL\x01", 45))
        memory, passes, lanes = (
            int.from_bytes(head[a:b]) for a, b in ((8, 12), (12, 16), (16, 17))
        )
        self.assertEqual((memory, passes, lanes), (65_536, 3, 4))
        derivation = Argon2id(
            salt=head[17:33], length=32, iterations=passes, lanes=lanes, memory_cost=memory
        )
        cipher = AESGCM(derivation.derive(WORDS))
        self.assertEqual(cipher.decrypt(head[33:], rest, head + b"for this"), b"a key")

    def test_refused(self):
        """Another passphrase, another purpose, a bit changed anywhere, a part."""
        mine = one()
        sealed = mine.seal(b"a key", b"for this")
        self.assertRaises(DoesNotOpen, one(b"correct horsf").open, sealed, b"for this")
        self.assertRaises(DoesNotOpen, mine.open, sealed, b"for that")
        for at in (33, HEAD.size, len(sealed) - 1):
            spoilt = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
            self.assertRaises(DoesNotOpen, mine.open, spoilt, b"for this")
        self.assertRaises(DoesNotOpen, mine.open, sealed[:-1], b"for this")
        for octets in (b"", sealed[: HEAD.size - 1], b"X" + sealed[1:]):
            self.assertRaises(UnknownForm, mine.open, octets, b"for this")

    def test_parameters(self):
        """Another version, or more work than anybody asks for, is refused before it is done."""
        sealed = one().seal(b"a key", b"")
        for at, value in ((7, 2), (8, 1), (12, 1), (16, 0)):
            spoilt = sealed[:at] + bytes([value]) + sealed[at + 1 :]
            self.assertRaises(UnknownForm, one().open, spoilt, b"")

    def test_one_key_for_all(self):
        """What is opened and sealed later shares the salt, each with a nonce of its own; weak
        parameters are not taken over."""
        first = one().seal(b"a key", b"")
        again = one(seed=b"2")
        again.open(first, b"")
        second, third = again.seal(b"a key", b""), again.seal(b"a key", b"")
        self.assertEqual(first[:33], second[:33])
        self.assertEqual(len({first[33:45], second[33:45], third[33:45]}), 3)
        weak = HEAD.pack(passphrase.MAGIC, 1, 8, 1, 1, bytes(16), bytes(12)) + bytes(20)
        fresh = one()
        self.assertRaises(DoesNotOpen, fresh.open, weak, b"")
        self.assertEqual(HEAD.unpack(fresh.seal(b"", b"")[: HEAD.size])[2], 65_536)
