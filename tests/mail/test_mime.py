"""The walk over MIME parts: spans that are what RFC 2046 says, and closed where in doubt."""

import random

from mixminion.mail import mime
from mixminion.mail.fields import Field, split
from mixminion.testing.cases import SyncTestCase


def walk(message: bytes) -> tuple[mime.Part, bytes]:
    header, body = split(message)
    return mime.walk(header, body), body


def bodies(part: mime.Part, octets: bytes) -> list[bytes]:
    return [octets[leaf.start : leaf.stop] for leaf in part.all() if not leaf.children]


class WalkTests(SyncTestCase):
    def test_parts(self) -> None:
        """Preamble and epilogue are no parts, the line end before a delimiter is the delimiter's;
        padding behind it is allowed, a longer boundary is another one."""
        root, body = walk(
            b'Content-Type: multipart/mixed; boundary="a b:"\r\n\r\npreamble\r\n--a b: \t\r\n'
            b"Content-Type: text/html; charset=x\r\n\r\none\r\n\r\n--a b:\r\n\r\n--a b:\r\n\r\n"
            b"three\r\n--a b:c\r\n --a b:\r\n--a b:--\r\nepilogue\r\n--a b:\r\n"
        )
        self.assertEqual(bodies(root, body), [b"one\r\n", b"", b"three\r\n--a b:c\r\n --a b:"])
        first = root.children[0]
        self.assertEqual(first.content_type, mime.ContentType("text/html", {"charset": "x"}))
        self.assertEqual(
            body[first.head : first.head_end], b"Content-Type: text/html; charset=x\r\n"
        )

    def test_nested(self) -> None:
        """Parts within parts and messages, types by default; without an end the last part ends
        where what it is in ends."""
        root, body = walk(
            b"Content-Type: multipart/digest; boundary=o\r\n\r\n--o\r\n\r\n"
            b"Subject: x\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\nopen\r\n"
            b"--o\r\nContent-Type: text/plain\r\n\r\nlast\r\n"
        )
        self.assertEqual(bodies(root, body), [b"open", b"last\r\n"])
        kinds = [part.content_type.type for part in root.all()]
        inner = ["message/rfc822", "multipart/mixed", "text/plain"]
        self.assertEqual(kinds, ["multipart/digest", *inner, "text/plain"])

    def test_closed(self) -> None:
        """Sealed parts and those that do not say one thing are closed, and not looked into."""
        inside = b"\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"
        for head in (
            b"Content-Type: multipart/signed; boundary=b",
            b"Content-Type: MULTIPART/ENCRYPTED; boundary=b",
            b"Content-Type: multipart/mixed; boundary=b (comment)",
            b"Content-Type: multipart/mixed; boundary*0=b",
            b"Content-Type: multipart/mixed; boundary=b; boundary=c",
            b"Content-Type: multipart/mixed; boundary=b\r\nContent-Type: text/plain",
            b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64",
            b"Content-Type: multipart/mixed; boundary=other",
            b"Content-Type: message/delivery-status",
        ):
            root, _ = walk(head + inside)
            self.assertEqual((root.closed, root.children), (True, ()), head)

    def test_bounds(self) -> None:
        """A thousand parts and sixteen levels are looked into; what has more is closed."""
        head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        for n in (mime.MOST_PARTS, mime.MOST_PARTS + 1):
            root, _ = walk(head + b"--b\r\n\r\nx\r\n" * n + b"--b--\r\n")
            self.assertEqual(len(root.children), n if n <= mime.MOST_PARTS else 0)
        message = b"\r\nx"
        for n in range(mime.DEEPEST + 2):
            name = b"%dz" % n
            message = (
                b"Content-Type: multipart/mixed; boundary=" + name + b"\r\n\r\n"
                b"--" + name + b"\r\n" + message + b"\r\n--" + name + b"--\r\n"
            )
        root, _ = walk(message)
        self.assertEqual([part.closed for part in root.all()], [False] * mime.DEEPEST + [True])

    def test_spans_lie_in_each_other(self) -> None:
        """Whatever the octets: children lie in their parent's body, one behind the other."""
        draw = random.Random(3)
        pieces = [
            b"--a", b"--b", b"--", b"\r\n", b"\r\n\r\n", b"x", b"Content-Type: ", b"message/rfc822",
            b"multipart/mixed; boundary=b\r\n\r\n", b" ", b"Content-Transfer-Encoding: 8bit\r\n",
        ]  # fmt: skip
        seen = 0
        header = [Field("Content-Type", "multipart/mixed; boundary=a")]
        for _ in range(3000):
            body = b"--a\r\n" + b"".join(draw.choices(pieces, k=draw.randrange(40))) + b"\r\n"
            root = mime.walk(header, body)
            for part in root.all():
                at = part.start
                for child in part.children:
                    self.assertLessEqual(at, child.head)
                    self.assertTrue(child.head <= child.head_end <= child.start <= child.stop)
                    at = child.stop
                    seen += 1
                self.assertLessEqual(at, part.stop)
        self.assertGreater(seen, 3000)


class ContentTypeTests(SyncTestCase):
    def test_read(self) -> None:
        """Blanks, quotes and case as RFC 2045 has them."""
        for value, kind, parameters in (
            ("text/plain", "text/plain", {}),
            ("TEXT/Plain; Charset=UTF-8;", "text/plain", {"charset": "UTF-8"}),
            (r'a/b ; x = "q\"; y" ; z=1', "a/b", {"x": 'q"; y', "z": "1"}),
            ("m/x; boundary=----=_Part_1/2", "m/x", {"boundary": "----=_Part_1/2"}),
        ):
            self.assertEqual(mime.content_type(value), mime.ContentType(kind, parameters))

    def test_not_clear(self) -> None:
        """Anything else says nothing."""
        for value in ("text", "", "text/plain; charset", "a/b; x=(c)1", 'a/b; x="1', "a/b, c/d"):
            self.assertIsNone(mime.content_type(value), value)
