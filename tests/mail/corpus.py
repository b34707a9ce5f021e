"""A hundred messages in the shapes of six mail programs, the same at every run but for keys.

Each is written as its program writes: header order and case, line ends, boundaries, transfer
encodings, what it puts around signatures, and what it gets wrong.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import dataclass
from email.header import Header
from functools import cache

from tests.mail.making import Maker, Signed, crlf


@dataclass(frozen=True)
class Specimen:
    """One message, and what of it must arrive octet for octet (lines ended by CRLF)."""

    name: str
    octets: bytes
    intact: tuple[bytes, ...] = ()
    smime: bool = False  #: *intact* is S/MIME's multipart/signed, whose signature is real
    sealed_eight_bit: bool = False  #: does not travel to a server without 8BITMIME


# -- the programs: a header and shapes ------------------------------------------------------------


def _thunderbird(make: Maker) -> list[bytes | Signed]:
    flowed = "text/plain; charset=UTF-8; format=flowed"
    reply = make.several(
        "alternative", [make.words(), make.words("utf-8", "quoted-printable", "html")]
    )
    picture = make.part(
        "image/png; name=p.png", make.draw.randbytes(400), "base64", "Content-ID: <p@x>"
    )
    related = make.several("related", [make.words("utf-8", "8bit", "html"), picture])
    enclosed = b'Content-Type: message/rfc822; charset=UTF-8;\n name="x.eml"\n\n'
    rest = make.several("mixed", [make.words(), make.file()])
    key = make.part('application/pgp-keys; name="k.asc"', make.armor("PUBLIC KEY BLOCK"), "base64")
    return [
        make.part(flowed, make.text("us-ascii").encode(), "7bit"),
        make.part(flowed, make.text("utf-8").encode(), "8bit"),
        make.part(flowed, make.text("utf-8").encode(), "base64"),
        make.words("iso-8859-15", "8bit"),
        make.words("koi8-r", "8bit"),
        make.words("shift_jis", "8bit"),
        make.words("utf-8", "8bit", "html"),
        reply,
        make.several(
            "mixed", [reply, make.file("ä.pdf")], b"This is a multi-part message in MIME format.\n"
        ),
        make.several("alternative", [make.words(), related]),
        make.several("mixed", [make.words(), enclosed + b"Subject: inner\n" + rest]),
        make.smime(make.words("utf-8", "quoted-printable")),
        make.smime(make.several("mixed", [make.words("utf-8", "base64"), make.file()])),
        make.pgp(
            make.several(
                "mixed",
                [make.words("utf-8", "quoted-printable"), key],
                parameters='; protected-headers="v1"',
            )
        ),
        make.pgp_encrypted(),
        make.smime_opaque(make.words("utf-8", "base64")),
        make.part(flowed, b"x" * 5000 + b"\n", "7bit"),
    ]


def _mutt(make: Maker) -> list[bytes | Signed]:
    inline = "Content-Disposition: inline"
    latin = make.part(
        "text/plain; charset=iso-8859-1", make.text("iso-8859-1").encode("latin-1"), "8bit", inline
    )
    diff = make.part(
        "text/x-diff; charset=us-ascii",
        b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
        "",
        'Content-Disposition: attachment; filename="x.diff"',
    )
    digest = make.several(
        "digest",
        [
            b"\nSubject: one\n\n" + make.text("us-ascii").encode(),
            b"\nSubject: two\n" + make.words(),
        ],
    )
    return [
        make.part("text/plain; charset=us-ascii", make.text("us-ascii").encode(), "", inline),
        make.part("text/plain; charset=utf-8", make.text("utf-8").encode(), "8bit", inline),
        make.part(
            "text/plain; charset=utf-8", make.text("utf-8").encode(), "quoted-printable", inline
        ),
        latin,
        make.words("iso-8859-1", "quoted-printable"),
        make.words("iso-2022-jp", "7bit"),
        make.words("euc-kr", "8bit"),
        make.several("mixed", [latin, diff]),
        make.several("mixed", [make.words(), make.file(), make.file("b.bin", 3000)]),
        digest,
        make.pgp(make.words("us-ascii", "")),
        make.pgp(make.words("utf-8", "quoted-printable")),
        make.pgp(make.several("mixed", [make.words("utf-8", "quoted-printable"), diff])),
        make.pgp(make.words("utf-8", "8bit"), sealed_eight_bit=True),
        make.pgp_inline(),
        make.within("mixed", make.pgp(make.words("us-ascii", "")), make.file()),
        make.pgp_encrypted(),
    ]


def _git(make: Maker) -> list[bytes | Signed]:
    def patch(author: str, body: str, encoding: str = "8bit") -> bytes:
        text = (
            f"From: {author}\n\nWhy it is done.\n\nSigned-off-by: {author}\n---\n x | 2 +-\n\n"
            f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n \n-{body}\n+{body} \t\n"
            "-- \n2.43.0\n\n"
        )
        return make.part("text/plain; charset=UTF-8", text.encode(), encoding)

    ascii_patch = patch("A U Thor <a@x.test>", "int x;").partition(b"\n\n")[2]
    long = patch("A <a@x.test>", "x" * 1500)
    cover = make.part(
        "text/plain; charset=UTF-8", b"*** BLURB HERE ***\n" + make.text("utf-8").encode(), "8bit"
    )
    shapes: list[bytes | Signed] = [b"\n" + ascii_patch for _ in range(3)]
    shapes += [patch(f"J\u00f6rg {n} <a@x.test>", "\u00e4\u20ac") for n in range(4)]
    shapes += [
        patch("A <a@x.test>", "\t  indented  ", "quoted-printable"),
        patch("\u0418 <a@x.test>", "\u0438" * 40, "base64"),
    ]
    shapes += [long, patch("A <a@x.test>", "."), patch("A <a@x.test>", "From x")]
    shapes += [cover, make.several("mixed", [cover, make.file("0001.patch", 200)])]
    shapes += [patch("A <a@x.test>", "a\x0cb\x01"), patch("A <a@x.test>", "=?utf-8?q?x?=")]
    return shapes


def _outlook(make: Maker) -> list[bytes | Signed]:
    notice = b"This is a multipart message in MIME format.\n\n"
    plain = make.words("windows-1252", "quoted-printable")
    html = make.words("windows-1252", "quoted-printable", "html")
    both = make.several("alternative", [plain, html], notice)
    logo = make.part(
        'image/gif;\n\tname="image001.gif"',
        make.draw.randbytes(300),
        "base64",
        "Content-ID: <image001.gif@01DA>",
    )
    calendar = make.part(
        'text/calendar; charset="utf-8"; method=REQUEST',
        b"BEGIN:VCALENDAR\nEND:VCALENDAR\n",
        "7bit",
    )
    tnef = make.part(
        'application/ms-tnef;\n\tname="winmail.dat"', make.draw.randbytes(900), "base64"
    )
    return [
        make.part('text/plain;\n\tcharset="us-ascii"', make.text("us-ascii").encode(), "7bit"),
        make.part(
            'text/plain;\n\tcharset="Windows-1252"',
            make.text("windows-1252").encode("cp1252"),
            "8bit",
        ),
        make.part('text/plain;\n\tcharset="utf-8"', make.text("utf-8").encode(), "base64"),
        plain,
        make.words("windows-1251", "base64", "html"),
        make.words("gb2312", "base64"),
        make.words("utf-16", "base64"),
        both,
        make.several("related", [both, logo], notice, ';\n\ttype="multipart/alternative"'),
        make.several("mixed", [both, make.file("report 1.docx", 5000)], notice),
        make.several("mixed", [make.words("us-ascii", "7bit"), tnef], notice),
        make.several("alternative", [plain, html, calendar]),
        make.several("mixed", [make.several("related", [both, logo]), make.file(), make.file()]),
        make.smime(both),
        make.smime(make.part('text/plain;\n\tcharset="us-ascii"', b"Signed.\n", "7bit")),
        make.smime_opaque(both),
        make.several("mixed", [make.words("big5", "8bit"), make.file()], notice),
    ]


def _apple(make: Maker) -> list[bytes | Signed]:
    ascii_text = make.part(
        "text/plain;\n\tcharset=us-ascii", make.text("us-ascii").encode(), "7bit"
    )
    plain = make.part(
        "text/plain;\n\tcharset=utf-8", make.text("utf-8").encode(), "quoted-printable"
    )
    html = make.part(
        "text/html;\n\tcharset=utf-8",
        f"<div>{make.text('utf-8')}</div>\n".encode(),
        "quoted-printable",
    )
    name = "filename*=utf-8''Gr%C3%BC%C3%9Fe.pdf"
    pdf = make.part(
        "application/pdf;\n\tname*=utf-8''Gr%C3%BC%C3%9Fe.pdf;\n\tx-unix-mode=0644",
        make.draw.randbytes(700),
        "base64",
        f"Content-Disposition: inline;\n\t{name}",
    )
    apart = make.part(
        'image/jpeg;\n\tname="a.jpeg"',
        make.draw.randbytes(600),
        "base64",
        "X-Apple-Content-Length: 600",
        "Content-Id: <A1@x>",
    )
    eight = make.part("text/plain;\n\tcharset=utf-8", make.text("utf-8").encode(), "8bit")
    return [
        ascii_text,
        plain,
        eight,
        make.words("iso-2022-jp", "7bit"),
        make.words("big5", "base64"),
        make.words("utf-8", "quoted-printable", "html"),
        make.several("alternative", [plain, html], b"\n"),
        make.several("mixed", [plain, pdf, plain], b"\n"),
        make.several("mixed", [make.several("alternative", [plain, html]), apart], b"\n"),
        make.several(
            "alternative",
            [plain, make.several("related", [html, apart], parameters=';\n\ttype="text/html"')],
            b"\n",
        ),
        make.several("mixed", [eight, pdf], b"\n"),
        make.smime(make.several("alternative", [plain, html], b"\n")),
        make.smime(ascii_text),
        make.pgp(make.several("mixed", [plain, pdf], b"\n")),
        make.within("mixed", make.smime(plain), ascii_text),
        make.several(
            "alternative", [plain, make.several("mixed", [html, pdf, html, apart])], b"\n"
        ),
        make.part("text/plain;\n\tcharset=utf-8", b"", "7bit"),
    ]


def _php(make: Maker) -> list[bytes | Signed]:
    page = "<html><body>" + "<td>\u00fc&nbsp;</td>" * 300 + "</body></html>"
    lonely = base64.b64encode(make.draw.randbytes(4000))
    file = make.part(
        'application/zip; name="\u00fc.zip"',
        b"",
        "base64",
        'Content-Disposition: attachment; filename="\u00fc.zip"',
        raw=lonely + b"\n",
    )
    long_html = make.part("text/html; charset=UTF-8", page.encode(), "8bit")
    return [
        b"\n" + make.text("us-ascii").encode(),
        b"\n" + make.text("utf-8").encode(),
        b"\n" + make.text("iso-8859-1").encode("latin-1"),
        b"Content-type: text/html; charset=UTF-8\n\n" + page.encode(),
        b"Content-type: text/html; charset=iso-8859-1\n\n" + page.encode("latin-1"),
        b"Content-Type: text/plain\n\nno line end",
        b"Content-Type: text/plain; charset=UTF-8\n\n\r\rbare\rreturns\r\n",
        b"Content-Type: text/plain\n\na\0b\n",
        make.several("mixed", [long_html, file]),
        make.several(
            "mixed", [make.words(), file], b"If you see this, your program knows no MIME.\n"
        ),
        make.several("alternative", [make.words(), long_html]),
        make.part(
            "text/plain; charset=UTF-8",
            b"",
            "base64",
            raw=base64.b64encode(make.text("utf-8").encode() * 9),
        ),
        make.part("text/html; charset=UTF-8", b"", "quoted-printable", raw=b"=C3=BC" * 400 + b"\n"),
        make.words("windows-1251", "8bit", "html"),
        make.part("text/html; charset=utf-8", page.encode(), "binary"),
        b"Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n"
        b" \n\n \ttrailing \t\n\n\n",
    ]


_HEADERS = {
    "thunderbird": (
        "Message-ID: <{id}@home.test>\nDate: Mon, 3 Aug 2026 10:00:00 +0200\nMIME-Version: 1.0\n"
        "User-Agent: Mozilla Thunderbird\nSubject: {subject}\nContent-Language: de-DE\nTo: {to}\n"
        "From: Alice <alice@home.test>\nReferences: <1@x.test>\n <2@x.test>\n"
        "In-Reply-To: <2@x.test>\nAutocrypt: addr=alice@home.test; keydata=\n xsBN\n"
    ),
    "mutt": (
        "Date: Mon, 3 Aug 2026 10:00:00 +0200\nFrom: Alice <alice@home.test>\nTo: {to}\n"
        "Cc: Carol <carol@example.test>, dave@example.test\nSubject: {subject}\n"
        "Message-ID: <{id}@home>\nReferences: <1@x.test>\n\t<2@x.test>\n"
        "MIME-Version: 1.0\nIn-Reply-To: <2@x.test>\nX-Face: ~;#\n ?\n"
        "Mail-Followup-To: list@example.test\n"
    ),
    "git": (
        "From {id} Mon Sep 17 00:00:00 2001\nFrom: Alice <alice@home.test>\nTo: {to}\n"
        "Cc: =?UTF-8?q?J=C3=B6rg?= <j@example.test>\nSubject: [PATCH v2 1/2] {subject}\n"
        "Date: Mon,  3 Aug 2026 10:00:00 +0200\nMessage-ID: <{id}.git.alice@home.test>\n"
        "X-Mailer: git-send-email 2.43.0\nIn-Reply-To: <cover.1@x.test>\n"
        "References: <cover.1@x.test>\nMIME-Version: 1.0\n"
    ),
    "outlook": (
        'From: "Alice, A." <alice@home.test>\nTo: {to}\nSubject: {subject}\n'
        "Date: Mon, 3 Aug 2026 10:00:00 +0200\nMessage-ID: <{id}$@home.test>\nMIME-Version: 1.0\n"
        "X-Mailer: Microsoft Outlook 16.0\nThread-Index: AdrAAAA==\nContent-Language: en-us\n"
        "X-MS-Has-Attach: yes\nX-MS-TNEF-Correlator:\nReferences: <1@x.test><2@x.test>\n"
        "In-Reply-To: <2@x.test>\nDisposition-Notification-To: alice@home.test\n"
    ),
    "apple": (
        "From: Alice <alice@home.test>\nMessage-Id: <{id}@home.test>\n"
        "Mime-Version: 1.0 (Mac OS X Mail 16.0 \\(3731.700.6\\))\nSubject: {subject}\n"
        "Date: Mon, 3 Aug 2026 10:00:00 +0200\nReferences: <1@x.test>\nTo: {to}\n"
        "In-Reply-To: <1@x.test>\nX-Mailer: Apple Mail (2.3731)\n"
        "X-Uniform-Type-Identifier: com.apple.mail-draft\n"
    ),
    "php": (
        "To: {to}\nSubject: {subject}\nX-PHP-Originating-Script: 33:mail.php\nX-Raw: \u00fc\n"
        "From: Shop <shop@home.test>\nReply-To: shop@home.test\nX-Mailer: PHP/8.2\n"
        "Bcc: eve@example.test\nX-Empty:\n"
    ),
}
_PROGRAMS: dict[str, Callable[[Maker], list[bytes | Signed]]] = {
    "thunderbird": _thunderbird,
    "mutt": _mutt,
    "git": _git,
    "outlook": _outlook,
    "apple": _apple,
    "php": _php,
}
_SUBJECTS = (
    "Tonight",
    "Gr\u00fc\u00dfe aus K\u00f6ln",
    "Re: \u043f\u0440\u0438\u0432\u0435\u0442 \u4e16\u754c " * 6,
    "a  b\tc",
    "",
    "=3D?",
)
_TO = (
    "bob@example.test",
    "Bob <bob@example.test>",
    '"Bob, B." <bob@example.test>,\n carol@example.test',
)


@cache
def corpus() -> tuple[Specimen, ...]:
    """The hundred."""
    found = []
    for program, shapes in _PROGRAMS.items():
        make = Maker(random.Random(program), program)
        for n, made in enumerate(shapes(make)):
            whole = made if isinstance(made, Signed) else Signed(made)
            head = _header(program, n)
            octets = head + whole.octets
            if program in ("thunderbird", "outlook"):
                octets = crlf(octets)
            name = f"{program}-{n:02}"
            found.append(Specimen(name, octets, whole.intact, whole.smime, whole.sealed_eight_bit))
    return tuple(found)


def _header(program: str, n: int) -> bytes:
    subject = _SUBJECTS[n % len(_SUBJECTS)]
    raw = program == "php" and n % 2
    if not subject.isascii() and not raw:
        subject = Header(subject, "utf-8", header_name="Subject").encode()
    to = _TO[n % len(_TO)]
    return _HEADERS[program].format(id=f"{program}.{n}", subject=subject, to=to).encode()
