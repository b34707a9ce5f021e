"""Re-encoding: only where a body cannot travel, and the reader sees the same."""

import email
import email.policy
import quopri

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.mail import fields, transfer
from mixminion.mail.errors import EightBit, LineTooLong
from mixminion.mail.fields import Field
from mixminion.testing.cases import SyncTestCase

PIECES = [b"=", b"--", b"\r\n", b"\r", b"\n", b" ", b".", b"\0", b"\xc3\xa4", b"\t", b"x" * 300]


def fit(message: bytes, *, seven_bit: bool = False) -> bytes:
    return fields.join(*transfer.fit(*fields.split(message), seven_bit=seven_bit))


def mixed(*parts: bytes, head: bytes = b"", boundary: bytes = b"b") -> bytes:
    """A multipart/mixed of *parts*, each with its header."""
    inside = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    kind = b'Content-Type: multipart/mixed; boundary="%b"\r\n' % boundary
    return kind + head + b"\r\n" + inside + b"--" + boundary + b"--\r\n"


def leaves(message: bytes) -> list[tuple[str, bytes]]:
    """Transfer encoding and decoded octets of each part, read by the standard library."""
    parsed = email.message_from_bytes(message, policy=email.policy.compat32)
    return [
        (str(part["Content-Transfer-Encoding"]), bytes(part.get_payload(decode=True)))
        for part in parsed.walk()
        if not part.is_multipart()
    ]


class EncodingTests(SyncTestCase):
    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.sampled_from(PIECES)))
    def test_same_to_the_reader(self, parts: list[bytes]) -> None:
        """Quoted-printable decodes to the same octets, in 7-bit lines of at most 76."""
        octets = b"".join(parts)
        encoded = transfer.quoted_printable(octets)
        self.assertTrue(encoded.isascii())
        self.assertLessEqual(max(map(len, encoded.split(b"\r\n"))), 76)
        self.assertEqual(encoded.count(b"\n"), encoded.count(b"\r\n"))
        self.assertEqual(quopri.decodestring(encoded), octets)
        self.assertEqual(transfer.decode(encoded, "quoted-printable"), octets)
        for encoding in ("base64", "quoted-printable"):
            self.assertEqual(transfer.decode(transfer.encode(octets, encoding), encoding), octets)

    def test_no_delimiters(self) -> None:
        """A soft line break never makes a line that begins as a delimiter does."""
        for start in range(160):
            line = b"x" * start + b"--b" * 60 + b"\xff" + b"--b--"
            encoded = transfer.quoted_printable(line)
            self.assertNotIn(b"\n--", encoded)
            self.assertEqual(transfer.decode(encoded, "quoted-printable"), line)

    def test_shorter(self) -> None:
        """Quoted-printable for what is nearly ASCII, base64 for the rest."""
        self.assertEqual(
            transfer.plainest("Viele Grüße aus Köln\r\n".encode() * 9)[0],
            "quoted-printable",
        )
        self.assertEqual(transfer.plainest("Привет\r\n".encode() * 9)[0], "base64")

    def test_when(self) -> None:
        """998 octets travel, 999 do not, nor does a NUL."""
        self.assertFalse(transfer.must_encode(b"x" * 998 + b"\r\n"))
        self.assertTrue(transfer.must_encode(b"x" * 999 + b"\r\n"))
        self.assertTrue(transfer.must_encode(b"a\0\r\n"))


class FitTests(SyncTestCase):
    def test_left_alone(self) -> None:
        """What can travel is not looked into."""
        header, body = fields.split(mixed(b"\r\n\xff", b"X"))
        self.assertIs(transfer.fit(header, body)[1], body)

    def test_inside(self) -> None:
        """A part within parts is re-encoded; every octet outside it stays."""
        before, after = b"A : 1\r\nX: y\r\n z\r\n\r\n--b2\r\n kept  ", b"\r\nkept\t"
        bad = b"Content-Type: text/plain\r\n\r\n" + b"x" * 2000 + b"\0"
        inner = mixed(before, bad, after, boundary=b"i i")
        message = mixed(inner, after)
        made = fit(message)
        first, second = made.split(b"Content-Type: text/plain\r\n")
        self.assertTrue(message.startswith(first) and before in first)
        self.assertTrue(second.startswith(b"Content-Transfer-Encoding: quoted-printable\r\n\r\nxx"))
        self.assertEqual(second.partition(b"\r\n--i i")[2], message.partition(bad)[2][7:])
        self.assertEqual(
            [octets for _, octets in leaves(made)], [octets for _, octets in leaves(message)]
        )
        self.assertFalse(transfer.must_encode(made))

    def test_seven_bit(self) -> None:
        """Without 8BITMIME every 8-bit part is encoded, and the labels of what it is in."""
        parts = (b"Content-Transfer-Encoding: 8BIT\r\n\r\n\xc3\xa4", b"\r\nplain", b"\r\n\xff")
        enclosed = b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n\xe4\xf6\r\n"
        message = mixed(*parts, enclosed, head=b"Content-Transfer-Encoding: 8bit\r\n")
        made = fit(message, seven_bit=True)
        self.assertTrue(made.isascii())
        self.assertIn(b"Content-Transfer-Encoding: 7bit\r\n\r\n--b\r\n", made)
        self.assertNotIn(b"8bit", made.lower())
        self.assertEqual(
            [octets for _, octets in leaves(made)], [octets for _, octets in leaves(message)]
        )

    def test_part_headers(self) -> None:
        """Raw UTF-8 in a part's header becomes RFC 2231 or 2047 for a 7-bit server only."""
        part = (
            'Content-Type: x/y;\r\n name="ü 1.txt"; a=b\r\nContent-Description: ü\r\n\r\nz'.encode()
        )
        self.assertIn(part, fit(mixed(part, b"\r\n\0")))
        made = fit(mixed(part), seven_bit=True)
        parsed = email.message_from_bytes(made, policy=email.policy.default)
        [only] = parsed.iter_parts()
        self.assertEqual(only.get_filename(), "ü 1.txt")
        self.assertEqual(only["Content-Description"], "ü")
        self.assertEqual(only.get_param("a"), "b")

    def test_encoded_already(self) -> None:
        """Base64 on one line and quoted-printable in long lines are broken into short ones."""
        in_base64 = b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 600
        quoted = b"Content-Transfer-Encoding: Quoted-Printable\r\n\r\n" + b"a=0A=20" * 300
        made = fit(mixed(in_base64, quoted))
        self.assertFalse(transfer.must_encode(made))
        self.assertEqual([octets for _, octets in leaves(made)], [b"ABC" * 600, b"a\n " * 300])

    def test_signed(self) -> None:
        """What is signed, encrypted or vouched for is never changed; if it cannot travel, the
        mail does not."""
        for kind in (b"multipart/signed", b"Multipart/Encrypted; protocol=x"):
            for inside, error in (
                (b"x" * 999, LineTooLong),
                (b"\0", LineTooLong),
                (b"\xff", EightBit),
            ):
                message = mixed(b"\r\n" + inside, boundary=b"c").replace(b"multipart/mixed", kind)
                with self.assertRaises(error):
                    fit(mixed(b"\r\n\0", message), seven_bit=True)
            whole = mixed(b"\r\n\xff", boundary=b"c").replace(b"multipart/mixed", kind)
            self.assertIn(whole, fit(mixed(b"\r\n\0", whole)))
        enclosed = b"Content-Type: message/rfc822\r\n\r\nDKIM-Signature: v=1\r\n\r\n\xff"
        with self.assertRaises(EightBit):
            fit(mixed(enclosed), seven_bit=True)

    def test_uncertain(self) -> None:
        """What cannot be read with certainty is not changed either."""
        for message in (
            b"Content-Type: multipart/mixed\r\n\r\n\xff\r\n",
            b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--b\r\n\r\n\xff\r\n",
            mixed(b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n\xff"),
            mixed(b"Content-Transfer-Encoding: x-uuencode\r\n\r\n\xff"),
            mixed(b"Content-Transfer-Encoding: base64\r\n\r\n\xff==="),
            mixed(b"no header \xff"),
            mixed(b"Content-Type: text/plain; a=b; a=c\r\n\r\n\xff"),
            mixed(b"Content-Type: message/partial\r\n\r\n\xff"),
            mixed(b"\r\nok").replace(b"--b\r\n", b"\xff\r\n--b\r\n"),
            mixed(b"X-Any: \xff\r\n\r\nok"),
        ):
            with self.subTest(message=message), self.assertRaises(EightBit):
                fit(message, seven_bit=True)

    def test_binary(self) -> None:
        """No mail is labelled binary: no server is asked for BINARYMIME."""
        made = fit(b"Content-Transfer-Encoding: binary\r\n\r\n\xff\r\n")
        self.assertEqual(made, b"Content-Transfer-Encoding: 8bit\r\n\r\n\xff\r\n")
        made = fit(b"Content-Transfer-Encoding: Binary\r\n\r\nok\r\n")
        self.assertEqual(made, b"Content-Transfer-Encoding: 7bit\r\n\r\nok\r\n")

    def test_value(self) -> None:
        """A field's value in lower case, empty when there is none."""
        self.assertEqual(transfer.value([Field("A", "B")], "a"), "b")
        self.assertEqual(transfer.value([Field("A", "B")], "b"), "")
