"""The search finds what it is for, in every form, and nothing else."""

from __future__ import annotations

import base64
import os
from urllib.parse import quote

from mixminion.testing.cases import SyncTestCase
from tests.silence.search import Secrets

ADDRESS = "Zoë+ab.c@example.test"
PREFIX = bytes.fromhex("0201ff00fbef3e41097f80c3a9272200")
NOISE = b"2026-11-23T09:38:26+0000 [mixminion.mix#info] something happened\n"


class SearchTests(SyncTestCase):
    def setUp(self) -> None:
        self.secrets = Secrets()
        self.secrets.add("address", ADDRESS)
        self.secrets.add("prefix", PREFIX)
        self.secrets.add("client", "127.66.7.8", bytes((127, 66, 7, 8)))

    def kinds(self, planted: bytes) -> set[str]:
        return {each.kind for each in self.secrets.search({"log": NOISE + planted + NOISE})}

    def test_nothing(self) -> None:
        """An ordinary log is clean, and so are random octets."""
        self.assertEqual(self.kinds(b""), set())
        self.assertEqual(self.kinds(base64.b64encode(os.urandom(100_000))), set())

    def test_planted(self) -> None:
        """A line with a secret, in each encoding, wherever in it the secret stands."""
        for kind, secret in (("address", ADDRESS.encode()), ("prefix", PREFIX)):
            for before in range(4):
                whole = b"to <"[:before] + secret + b"> said"
                encodings = {
                    "raw": whole,
                    "upper": whole.upper(),
                    "hex": whole.hex().encode(),
                    "HEX": whole.hex().upper().encode(),
                    "hex separated": whole.hex(":").encode(),
                    "base64": base64.b64encode(whole),
                    "base64url": base64.urlsafe_b64encode(whole).rstrip(b"="),
                    "quoted": quote(whole).encode(),
                    "quoted wholly": b"".join(b"%%%02X" % octet for octet in whole),
                    "repr": repr(whole).encode(),
                }
                for name, planted in encodings.items():
                    with self.subTest(kind=kind, before=before, name=name):
                        self.assertEqual(self.kinds(b"x " + planted + b"\n"), {kind})

    def test_client(self) -> None:
        """An address as people and as machines write it."""
        for planted in (
            b"IPv4Address(host='127.66.7.8')",
            b"::ffff:127.66.7.8",
            b"\x7f\x42\x07\x08",
        ):
            self.assertEqual(self.kinds(planted), {"client"})

    def test_too_short(self) -> None:
        """What would be found everywhere is refused."""
        self.assertRaises(ValueError, self.secrets.add, "word", "the")

    def test_line(self) -> None:
        """Whoever has to mend it is shown the line."""
        (found,) = self.secrets.search({"log": NOISE + b"refused 127.66.7.8 here\n" + NOISE})
        self.assertEqual((found.where, found.line), ("log", "refused 127.66.7.8 here"))
