"""Mails of every shape into a real Postfix, read back from the Maildir: as the specification says.

Real mail programs' shapes, signatures that OpenSSL verifies, and 1,500 random bodies.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
from pathlib import Path

from mixminion.client import addresses
from mixminion.client.compose import from_message
from mixminion.interfaces import Message
from mixminion.mail import data
from mixminion.mail.data import canonical
from tests.integration.postfix import INSTALL
from tests.integration.test_postfix import BOB, PostfixCase
from tests.mail.compare import differences
from tests.mail.corpus import Specimen, corpus
from tests.mail.making import Maker, Signed, crlf

TO = addresses.parse(BOB)
FOOTER = "This came through a remailer.\nAsk abuse@mix.test."
BORDER = 16_384


def verified(arrived: bytes, specimen: Specimen) -> bool:
    """Whether OpenSSL accepts the signature in *arrived*, over what stands there."""
    [signed] = specimen.intact
    start = arrived.index(signed)
    boundary = signed.rstrip(b"\r\n-").rpartition(b"\r\n--")[2]
    head = (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature";'
        b' micalg=sha-256; boundary="' + boundary + b'"\r\n\r\n'
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signed"
        path.write_bytes(head + arrived[start : start + len(signed)])
        command = ["openssl", "cms", "-verify", "-noverify", "-in", str(path), "-out", "/dev/null"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


class CorpusTests(PostfixCase):
    def setUp(self) -> None:
        super().setUp()
        subprocess.run(["bash", INSTALL, "openssl"], check=True)

    async def test_a_hundred(self) -> None:
        """A hundred messages of six mail programs arrive as the specification says, with a footer
        and without, also through a server that takes 7 bits; signatures verify."""
        for footer, seven_bit in (("", False), (FOOTER, False), (FOOTER, True)):
            specimens = [each for each in corpus() if not (seven_bit and each.sealed_eight_bit)]
            contents = [from_message(TO, each.octets).content for each in specimens]
            keys = "footer = " + footer.replace("\n", "\n  ") if footer else ""
            arrived = await self.send(self.exit(keys, seven_bit=seven_bit), contents)
            wrong = []
            for n, specimen in enumerate(specimens):
                mail = arrived[f"<{n}@mix.test>"]
                found = differences(specimen.octets, mail, footer, seven_bit=seven_bit)
                found += ["a signed part" for octets in specimen.intact if octets not in mail]
                if specimen.smime and not verified(mail, specimen):
                    found.append("the signature does not verify")
                wrong += [f"{specimen.name}: {each}" for each in found]
            self.assertEqual(wrong, [])
            self.postfix.clear()

    async def test_a_signature_can_fail(self) -> None:
        """An octet that is changed on the way is seen by the verifier."""
        specimen = next(each for each in corpus() if each.smime)
        [signed] = specimen.intact
        at = signed.index(b"\r\n\r\n", signed.index(b"Content-Type: ")) + 4
        spoilt = signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :]
        self.assertTrue(verified(signed, specimen))
        changed = Specimen("spoilt", spoilt, (spoilt,), smime=True)
        self.assertFalse(verified(spoilt, changed))

    async def test_random_mails(self) -> None:
        """Of 1,500 mails with random bodies, 500 of them MIME of random shapes, none differs."""
        draw = random.Random(17)
        bare = [b"\n" + _lines(draw) for _ in range(1000)]
        shaped = [b"Subject: x\n" + Shapes(draw).entity(3).octets for _ in range(500)]
        arrived = await self.send(self.exit(), bare + shaped)
        differ = []
        for n, content in enumerate([*bare, *shaped]):
            mail = arrived[f"<{n}@mix.test>"]
            if n < len(bare):
                same = mail.partition(b"\r\n\r\n")[2] == canonical(content[1:])
            else:
                same = differences(b"To: bob@example.test\n" + content, mail) == []
            if not same:
                differ.append(n)
        self.assertEqual(differ, [])

    async def test_borders(self) -> None:
        """Delimiters of parts, dots and SMTP commands at offsets -3 to +3 of every multiple of
        16,384 octets on the wire end nothing."""
        exit = self.exit()
        message = Message("smtp", (BOB,), _at_borders(0), None, "<0@mix.test>", 1)
        before = len(exit._mail(message).octets()) - len(_at_borders(0))
        shifts = range(-3, 4)
        contents = [_at_borders(shift - before) for shift in shifts]
        for shift, content in zip(shifts, contents, strict=True):
            sent = Message("smtp", (BOB,), content, None, "<0@mix.test>", 1)
            wire = data.encode(exit._mail(sent).octets())
            for border in range(BORDER, 18 * BORDER, BORDER):
                at = border + shift
                self.assertIn(wire[at : at + 4], (b"\r\n..", b"\r\n--"))
        arrived = await self.send(exit, contents)
        for n, content in enumerate(contents):
            sent_whole = b"To: bob@example.test\r\n" + content
            self.assertEqual(differences(sent_whole, arrived[f"<{n}@mix.test>"]), [])


class Shapes(Maker):
    """MIME of any shape."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__(draw, draw.choice(["thunderbird", "mutt", "git", "outlook", "apple"]))

    def entity(self, depth: int) -> Signed:
        """A part with parts in it, at most *depth* deep."""
        kind = self.draw.randrange(7 if depth else 3)
        if kind < 3:
            return Signed(self._leaf(kind))
        inside = [self.entity(depth - 1).octets for _ in range(self.draw.randrange(1, 4))]
        if kind == 3:
            return Signed(b"Content-Type: message/rfc822\n\nSubject: inner\n" + inside[0])
        if kind == 4:
            return self.pgp(self.words("utf-8", "quoted-printable"))
        return Signed(self.several(self.draw.choice(["mixed", "alternative", "x"]), inside))

    def _leaf(self, kind: int) -> bytes:
        octets = crlf(_lines(self.draw)) if kind else self.draw.randbytes(200)
        if kind == 2:
            octets += b"x" * self.draw.choice([0, 998, 999, 5000])
        encoding = ("base64", "quoted-printable", "8bit")[kind]
        if encoding == "8bit":
            octets = octets.replace(b"\r\n", b"\n")
        return self.part("text/plain; charset=utf-8", octets, encoding)


def _lines(draw: random.Random) -> bytes:
    """Lines of line ends, dots, what looks like delimiters and any octets but NUL."""
    parts = [b"\r", b"\n", b"\r\n", b".", b"..", b"\r\n.\r\n", b"\n.\n", b"From x", b" ", b"--"]
    some = [*parts, bytes(draw.choices(range(1, 256), k=5)), b"x" * draw.randrange(70)]
    return b"\n".join(
        b"".join(draw.choices(some, k=draw.randrange(12))) for _ in range(draw.randrange(60))
    )


def _at_borders(shift: int) -> bytes:
    """A multipart of 300 kB in which something dangerous begins *shift* octets from each
    multiple of 16,384."""
    made = bytearray(b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n')
    dangers = (b"\r\n.\r\nMAIL FROM:<eve@x.test>\r\n", b"\r\n--b\r\n\r\n\xc3\xa4", b"\r\n..\r\n")
    made += b"--b\r\n\r\n"
    for n in range(1, 19):
        room = n * BORDER + shift - len(made) - made.count(b"\r\n.")
        made += (b"y" * 98 + b"\r\n") * (room // 100) + b"z" * (room % 100) + dangers[n % 3]
    return bytes(made) + b"\r\n--b--\r\n"
