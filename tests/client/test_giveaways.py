"""Remarks on what may give a sender away, each with a mail that has it, and one that has not."""

from __future__ import annotations

import io
import zipfile
from base64 import b64encode

from mixminion.client import giveaways
from mixminion.mail import fields
from mixminion.testing.cases import SyncTestCase

TEXT = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"


def codes(mail: bytes) -> list[str]:
    return [remark.code for remark in giveaways.in_mail(*fields.split(mail))]


def attached(octets: bytes) -> bytes:
    """A mail that is one file."""
    head = b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
    return head + b"Content-Transfer-Encoding: base64\r\n\r\n" + b64encode(octets) + b"\r\n"


def office(member: str, text: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, text)
    return file.getvalue()


class GiveawayTests(SyncTestCase):
    def test_nothing(self) -> None:
        """A plain text gets no remark; nor do plain links, and dashes that are no signature."""
        for text in (b"Hello.", b"See https://example.org/page.html", b"--\r\nx -- y", b""):
            found = codes(TEXT + b"Subject: x\r\n\r\n" + text + b"\r\n")
            self.assertEqual(found, ["signature"] if text.startswith(b"--") else [], text)

    def test_header(self) -> None:
        """Names and addresses that are shown, and threads."""
        for field, code in [
            (b"From: A. Friend <a@b.org>", "name-shown"),
            (b"Reply-To: a@b.org", "reply-to-shown"),
            (b"In-Reply-To: <x@b.org>", "thread"),
        ]:
            self.assertEqual(codes(field + b"\r\n" + TEXT + b"\r\nx\r\n"), [code])

    def test_text(self) -> None:
        """Signatures, and links that look made for one reader."""
        for text in (
            b"https://example.org/?id=12",
            b"http://example.org/u/Zm9vYmFyYmF6cXV4cXV1eHF1dXV4",
            b"https://me:secret@example.org/",
        ):
            self.assertEqual(codes(TEXT + b"\r\n" + text + b"\r\n"), ["link-tokens"], text)
        self.assertEqual(codes(TEXT + b"\r\nHi\r\n-- \r\nBob\r\n"), ["signature"])

    def test_form(self) -> None:
        """Long lines, rare character sets, HTML, and the work of programs."""
        self.assertEqual(codes(TEXT + b"\r\n" + b"x" * 999 + b"\r\n"), ["long-lines"])
        self.assertEqual(codes(TEXT + b"\r\n" + b"x" * 998 + b"\r\n"), [])
        koi = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\nx\r\n"
        self.assertEqual(codes(koi), ["charset"])
        self.assertEqual(codes(koi.replace(b"koi8-r", b"no-such-one")), ["charset"])
        html = b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>x\r\n"
        self.assertEqual(codes(html), ["html"])
        parts = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        parts += b"--b\r\nContent-Type: image/png; name=me.png\r\n\r\nx\r\n--b--\r\n"
        self.assertEqual(codes(parts), ["mime-form", "file-name"])
        signed = parts.replace(b"multipart/mixed", b"multipart/signed")
        self.assertIn("signed", codes(signed))

    def test_metadata(self) -> None:
        """Of pictures and documents; the same without it gets no remark."""
        core = "<cp:coreProperties><dc:creator>Bob</dc:creator></cp:coreProperties>"
        for has, has_not in [
            (b"\xff\xd8\xff\xe1\x00\x10Exif\0\0", b"\xff\xd8\xff\xe0\x00\x10JFIF\0"),
            (b"\x89PNG\r\n\x1a\n....tEXtAuthor\0Bob", b"\x89PNG\r\n\x1a\n....IDAT"),
            (b"\x89PNG\r\n\x1a\n....eXIf", b"\x89PNG\r\n\x1a\n"),
            (b"%PDF-1.4\n<< /Author (Bob) >>", b"%PDF-1.4\n<< /Type /Page >>"),
            (b"%PDF-1.4\n<x:xmpmeta>", b"nothing"),
            (office("docProps/core.xml", core), office("docProps/core.xml", "<x/>")),
            (office("meta.xml", core), office("other.xml", core)),
        ]:
            self.assertIn("metadata", codes(attached(has)), has[:20])
            self.assertEqual(codes(attached(has_not)), [], has_not[:20])
        self.assertEqual(codes(attached(b"PK\x03\x04 broken")), [])
