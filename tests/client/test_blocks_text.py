"""Reply blocks in files: both forms, with a message around them, in mails of every shape."""

from __future__ import annotations

import contextlib
import email.encoders
import email.mime.multipart
import email.mime.text
import email.policy
from collections.abc import Sequence
from email.mime.application import MIMEApplication
from email.mime.base import MIMEBase
from email.mime.text import MIMEText

from hypothesis import given
from hypothesis import strategies as st

from mixminion.client import blocks_text
from mixminion.client.blocks_text import KIND, encode, find, head
from mixminion.crypto.rng import SeededRandom
from mixminion.sphinx import geometry
from mixminion.sphinx.errors import BadSurb
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.surb import Surb
from mixminion.testing.cases import SyncTestCase
from mixminion.util import armor
from mixminion.util.armor import BadArmor

XWING, X25519 = geometry.default("xwing"), geometry.default("x25519")
DAY = 86_400


def make(n: int, g: Geometry = XWING, begins: int = 1_800_000_000) -> bytes:
    """A block of which only the form is right."""
    random = SeededRandom(b"block %d" % n)
    header = g.suite.ad + random.octets(g.header - 2)
    return Surb(g, begins, begins + 7 * DAY, header, random.octets(32), random.octets(64)).encode()


BLOCKS = [make(1), make(2, begins=1_800_000_000 + 7 * DAY)]


def found(octets: bytes, blocks: Sequence[bytes] = BLOCKS) -> list[int]:
    """Which of *blocks* are found, by their numbers; -1 for another."""
    return [blocks.index(each) if each in blocks else -1 for each in find(octets)]


def mail(content: str, encoding: str, kind: str = "text/plain; charset=utf-8") -> bytes:
    """A mail whose body travels in that encoding."""
    message = MIMEBase(*kind.partition(";")[0].split("/"))
    del message["Content-Type"]
    message["Subject"] = "answer me"
    message["Content-Type"] = kind
    message.set_payload(content.encode())
    if encoding == "base64":
        email.encoders.encode_base64(message)
    elif encoding == "quoted-printable":
        email.encoders.encode_quopri(message)
    else:
        message["Content-Transfer-Encoding"] = encoding
    return message.as_bytes(policy=email.policy.SMTP)


class FindTests(SyncTestCase):
    def test_forms(self) -> None:
        """Both forms give the same blocks, in their order, and each once."""
        self.assertEqual(found(b"".join(BLOCKS)), [0, 1])
        self.assertEqual(found(encode(BLOCKS).encode()), [0, 1])
        self.assertEqual(found((encode(BLOCKS) + encode(BLOCKS[:1])).encode()), [0, 1])
        self.assertEqual(found(b"".join(BLOCKS * 2)), [0, 1])

    def test_text(self) -> None:
        """The text form, to the letter; the dates are the first's and the last's."""
        lines = encode(BLOCKS).split("\n")
        self.assertEqual(
            lines[:3],
            [
                "-----BEGIN MIXMINION REPLY BLOCK-----",
                "Valid: 2027-01-15T08:00:00Z to 2027-01-29T08:00:00Z",
                "",
            ],
        )
        self.assertEqual(lines[-2:], ["-----END MIXMINION REPLY BLOCK-----", ""])
        self.assertLessEqual(max(map(len, lines)), 64)

    def test_two_networks(self) -> None:
        """Blocks of different lengths one behind the other, as at a change of suites."""
        mixed = [make(1), make(2, X25519), make(3), make(4, Geometry(XWING.suite, 3, 82, 10240))]
        self.assertEqual(found(b"".join(mixed), mixed), [0, 1, 2, 3])
        self.assertEqual(found(encode(mixed).encode(), mixed), [0, 1, 2, 3])

    def test_around(self) -> None:
        """A message around them, whatever it is, in whatever line ends; other armor as it likes."""
        text = "Grüße!\n" + "-----BEGIN PGP MESSAGE-----\nVersion: 9\n\nnot base64 :-)\n=aB3d\n"
        text += encode(BLOCKS[:1]) + "\nand one more\n" + encode(BLOCKS[1:]) + "-- \nAlice\n"
        for end in ("\n", "\r\n", "\r", " \r\n"):
            self.assertEqual(found(text.replace("\n", end).encode()), [0, 1], repr(end))
        self.assertEqual(found(text.encode("utf-8") + b"\xff\xfe"), [0, 1])

    def test_quoted(self) -> None:
        """Somebody quoted the mail."""
        quoted = "".join(f"> {line}".rstrip() + "\n" for line in encode(BLOCKS).splitlines())
        self.assertEqual(found(b"You wrote:\n" + quoted.encode()), [0, 1])

    def test_nothing(self) -> None:
        """Files without any."""
        for octets in (b"", b"\0" * 9000, b"Hello\n", b"-----BEGIN PGP MESSAGE-----\n", b"\1\1"):
            self.assertEqual(find(octets), [], octets[:20])

    def test_mails(self) -> None:
        """A mail as it was stored, in every transfer encoding."""
        for encoding in ("7bit", "8bit", "quoted-printable", "base64"):
            octets = mail("Hello =\r\n" + encode(BLOCKS).replace("\n", "\r\n"), encoding)
            self.assertEqual(found(octets), [0, 1], encoding)
            self.assertEqual(found(b"From somebody Sat Jan  3\n" + octets), [0, 1], encoding)
            self.assertEqual(found(octets.replace(b"\r\n", b"\n")), [0, 1], encoding)

    def test_parts(self) -> None:
        """Blocks in a text, in an attachment, and within what somebody signed."""
        inner = email.mime.multipart.MIMEMultipart("mixed", boundary="inner")
        inner.attach(MIMEText(encode(BLOCKS[:1]), _charset="utf-8"))  # base64
        inner.attach(MIMEApplication(BLOCKS[1]))
        for kind in ("mixed", "signed"):
            outer = email.mime.multipart.MIMEMultipart(kind, boundary="o'u +ter")
            outer["Subject"] = "hello"
            outer.attach(inner)
            outer.attach(MIMEApplication(b"signature", "pgp-signature"))
            self.assertEqual(found(outer.as_bytes(policy=email.policy.SMTP)), [0, 1], kind)

    def test_damaged(self) -> None:
        """A text that was cut or changed is one clear error."""
        text = encode(BLOCKS)
        for wrong in (
            text[:-20],
            text.replace("Valid", "Val id"),
            text[:3000] + "!" + text[3001:],
            text[:1000] + text,
            armor.encode(KIND, {}, b"something else"),
            armor.encode(KIND, {}, b""),
        ):
            self.assertRaises(BadArmor, find, wrong.encode())

    def test_cut_octets(self) -> None:
        """What was cut off is another length, which shows when a network's geometry is at hand."""
        [first, second] = find(b"".join(BLOCKS)[:-1])
        self.assertEqual(Surb.decode(XWING, first).encode(), first)
        self.assertRaises(BadSurb, Surb.decode, XWING, second)

    @given(st.binary(max_size=200), st.sampled_from([b"", BLOCKS[0][:40], encode(BLOCKS).encode()]))
    def test_anything(self, noise: bytes, seed: bytes) -> None:
        """Nothing but BadArmor comes out, whatever goes in."""
        for octets in (seed + noise, noise + seed, b"Content-Type: " + noise + b"\n\n" + seed):
            with contextlib.suppress(BadArmor):
                find(octets)

    def test_nested(self) -> None:
        """A mail of parts within parts, deeper than anybody writes, ends."""
        head = b"".join(
            b'Content-Type: multipart/signed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n)
            for n in range(2000)
        )
        self.assertEqual(find(head), [])


class HeadTests(SyncTestCase):
    def test_head(self) -> None:
        """What a block says of itself."""
        for g in (XWING, X25519):
            begins = 1_800_000_000
            self.assertEqual(
                head(make(1, g)),
                blocks_text.Head(g.suite.name, g.digest[:8], begins, begins + 7 * DAY),
            )

    def test_none(self) -> None:
        """Other octets, and dates the wrong way round."""
        block = BLOCKS[0]
        self.assertRaises(BadSurb, head, b"\1" * 6084)
        self.assertRaises(BadSurb, head, block[:10] + block[18:26] + block[10:18] + block[26:])
