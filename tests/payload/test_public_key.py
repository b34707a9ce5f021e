"""Public keys as people hand them out."""

from __future__ import annotations

from mixminion.crypto import kem
from mixminion.crypto.kdf import sha256
from mixminion.payload import public_key
from mixminion.payload.errors import BadKey
from mixminion.testing.cases import SyncTestCase
from mixminion.util.armor import BadArmor

PUBLIC = kem.public_from_seed(bytes(range(32)))


class PublicKeyTests(SyncTestCase):
    def test_forms(self) -> None:
        """As octets and as text, among other text, with what stands beside it."""
        octets = public_key.encode(PUBLIC)
        self.assertEqual(len(octets), public_key.LENGTH)
        self.assertEqual(public_key.find(octets), [(PUBLIC, None)])
        text = public_key.to_text(PUBLIC, "Alice", "alice@example.org")
        self.assertIn("\nName: Alice\nAddress: alice@example.org\nFingerprint: ", text)
        around = f"My key:\r\n{text}\r\nbye\xe4".encode("latin-1")
        self.assertEqual(public_key.find(around), [(PUBLIC, "alice@example.org")])
        self.assertEqual(public_key.find(public_key.to_text(PUBLIC).encode()), [(PUBLIC, None)])
        self.assertEqual(public_key.find(b"no key"), [])
        self.assertRaises(ValueError, public_key.to_text, PUBLIC, "two\nlines")

    def test_fingerprint(self) -> None:
        """The whole digest, the same for ever, in groups; and read again as people write it."""
        digest = public_key.fingerprint(PUBLIC)
        self.assertEqual(digest, sha256(b"mixminion2 public key" + PUBLIC))
        shown = public_key.grouped(digest)
        self.assertEqual(
            shown,
            "ce53 7f59 5770 ca79 071d 26ba abb8 f998 178f a5c4 7297 b171 28a2 a3a4 b14d ba47",
        )
        for text in (shown, shown.upper(), digest.hex(), shown.replace(" ", "-"), f" {shown}\n"):
            self.assertEqual(public_key.read_fingerprint(text), digest)
        for text in ("", shown[:-1], shown + "0", shown.replace("a", "g"), shown[:39]):
            self.assertIsNone(public_key.read_fingerprint(text))

    def test_wrong(self) -> None:
        """What is none, and keys to which nothing can be encrypted."""
        good = public_key.encode(PUBLIC)
        for bad, part in (
            (b"", "no public key"),
            (PUBLIC, "no public key"),
            (good[:7] + b"\2" + good[8:], "version"),
            (good[:-1], "not whole"),
            (good + b"\0", "not whole"),
            (good[:8] + b"\xff" * 1184 + good[-32:], "nothing can be encrypted"),
            (good[:-32] + bytes(32), "nothing can be encrypted"),
        ):
            error = self.assertRaises(BadKey, public_key.parse, bad)
            self.assertIn(part, error.fields["why"])
        text = public_key.to_text(PUBLIC)
        self.assertRaises(BadArmor, public_key.find, text[:500].encode())
        damaged = text.replace("-----END", "AAAA\n-----END").encode()
        self.assertRaises((BadKey, BadArmor), public_key.find, damaged)
