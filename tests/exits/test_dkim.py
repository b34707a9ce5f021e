"""Signatures over mails: another implementation takes them, and nothing that was changed."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import dkim as other  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from mixminion.disk.errors import PrivateFileError
from mixminion.exits import dkim
from mixminion.exits.dkim import ED25519, RSA, KeyFile, UnusableKey
from mixminion.mail import compose
from mixminion.mail import dkim as mail_dkim
from mixminion.mail.compose import Mail
from mixminion.mail.fields import Field
from mixminion.testing.cases import SyncTestCase

BODIES = st.lists(st.sampled_from([b"\r\n", b" ", b"\t", b"x", b".", b"\xff", b"a b "])).map(
    b"".join
)
FROM = Field("From", "Anonymous <anonymous@mix.test>")


pem = cache(dkim.generate)


def mail(body: bytes = b"hello  world \r\n\r\n", *more: Field) -> Mail:
    made = compose.outgoing(
        b"Subject: some   blanks\r\nContent-Type: text/plain\r\n\r\n" + body,
        sender="Anonymous <anonymous@mix.test>",
        recipients=["bob@example.test"],
        message_id="<1@mix.test>",
        date=1_800_000_000,
    )
    return Mail((*made.fields, *more), made.body)


class KeyCase(SyncTestCase):
    @override
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(mode=0o700)
        files = [self.file(kind, pem(kind)) for kind in (ED25519, RSA)]
        self.keys = dkim.load("mix.test", files)

    def file(self, selector: str, octets: bytes) -> KeyFile:
        path = self.folder / selector
        path.touch(0o600)
        path.write_bytes(octets)
        return KeyFile(selector, path)

    def verified(self, octets: bytes) -> list[bool]:
        """What dkimpy says of each signature, from the top."""
        records = {f"{key.name}.".encode(): key.record.encode() for key in self.keys}
        dns = lambda name, timeout=5: records.get(name)  # noqa: E731

        def holds(n: int) -> bool:
            try:
                return bool(other.DKIM(octets).verify(n, dnsfunc=dns))
            except other.DKIMException:
                return False

        return [holds(n) for n in range(octets.count(b"DKIM-Signature:"))]


class SignTests(KeyCase):
    def test_order(self) -> None:
        """RSA's signature stands first, whatever the order of the keys; both stand on top, and
        what follows is the mail."""
        plain = mail()
        signed = mail_dkim.sign(plain, self.keys)
        algorithms = [re.findall("a=([^;]*)", field.value) for field in signed.fields[:2]]
        self.assertEqual(algorithms, [["rsa-sha256"], ["ed25519-sha256"]])
        self.assertEqual((signed.fields[2:], signed.body), (plain.fields, plain.body))
        self.assertEqual(self.verified(signed.octets()), [True, True])

    def test_the_same_each_time(self) -> None:
        """A second attempt brings the same octets."""
        once, again = (mail_dkim.sign(mail(), self.keys).octets() for _ in range(2))
        self.assertEqual(once, again)

    @settings(max_examples=60, deadline=None)
    @given(BODIES, st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200))
    def test_any_mail(self, body: bytes, subject: str) -> None:
        """Whatever blanks, line ends and lengths are in it, the signatures hold, also with its
        fields unfolded on the way."""
        made = mail(body, Field("References", f"<{subject.strip()}>"))
        signed = mail_dkim.sign(made, self.keys)
        self.assertEqual(self.verified(signed.octets()), [True, True])
        head, _, rest = signed.octets().partition(b"\r\n\r\n")
        unfolded = re.sub(rb"\r\n[ \t]+", b"  ", head)
        self.assertEqual(self.verified(unfolded + b"\r\n\r\n" + rest), [True, True])

    def test_changed(self) -> None:
        """Any other text, and any field added that a reader might be shown, is found."""
        octets = mail_dkim.sign(mail(), self.keys).octets()
        head, _, body = octets.partition(b"\r\n\r\n")
        self.assertEqual(self.verified(octets + b"x\r\n"), [False, False])
        self.assertEqual(
            self.verified(head.replace(b"some", b"any") + b"\r\n\r\n" + body), [False] * 2
        )
        for name in mail_dkim.ALWAYS:
            for changed in (
                octets.replace(b"From: ", f"{name}: eve\r\nFrom: ".encode(), 1),
                head + f"\r\n{name}: eve\r\n\r\n".encode() + body,
            ):
                self.assertEqual(self.verified(changed), [False, False], name)

    def test_way_out_of_lists(self) -> None:
        """The fields by which one leaves for good are signed when they are there (RFC 8058)."""
        more = (
            Field("List-Unsubscribe", "<https://mix.test/out/x>"),
            Field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        )
        octets = mail_dkim.sign(mail(b"x\r\n", *more), self.keys).octets()
        self.assertEqual(self.verified(octets), [True, True])
        for name in (b"out/x", b"One-Click"):
            self.assertEqual(self.verified(octets.replace(name, b"other")), [False, False])


class KeyTests(KeyCase):
    def test_records(self) -> None:
        """What belongs in the DNS, in strings that a zone file can hold."""
        rsa, ed25519 = self.keys
        self.assertEqual(rsa.name, "rsa._domainkey.mix.test")
        self.assertTrue(rsa.record.startswith("v=DKIM1; k=rsa; p=MII"))
        self.assertRegex(ed25519.record, "^v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}=$")
        strings = re.findall('"([^"]*)"', rsa.zone_line)
        self.assertEqual("".join(strings), rsa.record)
        self.assertLessEqual(max(map(len, strings)), 255)

    def test_files(self) -> None:
        """What cannot be used, or can be read by others, is the operator's error."""
        empty = self.file("empty", b"")
        public = self.file("public", pem(RSA))
        public.path.chmod(0o644)
        for file in (empty, KeyFile("none", self.folder / "none")):
            with self.assertRaises(UnusableKey):
                dkim.load("mix.test", [file])
        with self.assertRaises(PrivateFileError):
            dkim.load("mix.test", [public])

    def test_words(self) -> None:
        """How a key is named in the configuration."""
        self.assertEqual(str(dkim.key_file.read("s1 dkim/rsa.pem")), "s1 dkim/rsa.pem")
        for text in ("", "s1", "S1 x", "-s x", "s1 ~/x", f"{'s' * 64} x"):
            with self.assertRaises(ValueError):
                dkim.KeyFile.parse(text)
