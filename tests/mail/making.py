"""Parts of mails as programs write them, and signatures over them.

Everything is drawn from a seed, but for keys and real signatures.
"""

from __future__ import annotations

import base64
import quopri
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import NameOID

TEXTS = {
    "us-ascii": ["See you at nine.", "From here on", ".", "..", "-- ", "Alice", "", "a = b; c=3D"],
    "iso-8859-1": ["Voilà l'été.", "Grüße aus Köln", "¿Mañana?", "", "From Zürich"],
    "iso-8859-15": ["Das kostet 20 €.", "œuvre", ""],
    "windows-1252": ["“Quotes” – and dashes…", "naïve café", "", "€ 5"],
    "koi8-r": ["Привет, мир", "До завтра.", ""],
    "windows-1251": ["Здравствуйте", "С уважением", ""],
    "iso-2022-jp": ["こんにちは", "テストです", ""],
    "shift_jis": ["ソース表示", "能力", ""],
    "gb2312": ["你好", "明天见", ""],
    "big5": ["功蓋許", "明天見", ""],
    "euc-kr": ["안녕하세요", ""],
    "utf-8": ["Grüße, мир, 世界, 🙂", "naïve — déjà vu", "", ".", "From ö", "-- "],
    "utf-16": ["Grüße, мир", "世界"],
}


@dataclass(frozen=True)
class Signed:
    """A body with its type, and the same in *octets* that nobody may touch."""

    octets: bytes
    intact: tuple[bytes, ...] = ()
    smime: bool = False
    sealed_eight_bit: bool = False


class Maker:
    """One program's way of writing."""

    def __init__(self, draw: random.Random, program: str) -> None:
        self.draw = draw
        self.program = program

    # -- pieces -------------------------------------------------------------------------------

    def text(self, charset: str, lines: int = 12) -> str:
        return "".join(f"{self.draw.choice(TEXTS[charset])}\n" for _ in range(lines))

    def boundary(self) -> str:
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        some = "".join(self.draw.choices(letters, k=24))
        return {
            "thunderbird": f"------------{some}",
            "mutt": f"{some[:12]}+/{some[:2]}",
            "git": f"------------{some[:8]}.git",
            "outlook": f"----=_NextPart_000_{some[:4]}_01DA.{some[:8]}",
            "apple": f"Apple-Mail=_{some[:8]}-{some[8:12]}-{some[12:]}",
            "php": f"PHP-mixed-{some.lower()}",
        }[self.program]

    def part(
        self, kind: str, octets: bytes, encoding: str = "", *fields: str, raw: bytes | None = None
    ) -> bytes:
        """A part: *octets* in *encoding*, or *raw* as it is written."""
        body = _encoded(octets, encoding) if raw is None else raw
        label = [f"Content-Transfer-Encoding: {encoding}"] if encoding else []
        header = "\n".join([f"Content-Type: {kind}", *label, *fields])
        return header.encode() + b"\n\n" + body

    def words(self, charset: str = "utf-8", encoding: str = "8bit", kind: str = "plain") -> bytes:
        text = self.text(charset)
        if kind == "html":
            text = f"<html><body><p>{text}</p></body></html>\n"
        return self.part(f"text/{kind}; charset={charset}", text.encode(charset), encoding)

    def file(self, name: str = "a.bin", size: int = 900) -> bytes:
        octets = self.draw.randbytes(size)
        disposition = f'Content-Disposition: attachment;\n filename="{name}"'
        return self.part("application/octet-stream", octets, "base64", disposition)

    def several(
        self,
        kind: str,
        parts: Sequence[bytes],
        preamble: bytes = b"",
        parameters: str = "",
    ) -> bytes:
        boundary = self.boundary()
        delimiter = f"--{boundary}".encode()
        inside = b"".join(delimiter + b"\n" + part + b"\n" for part in parts)
        head = f'Content-Type: multipart/{kind};\n boundary="{boundary}"{parameters}\n\n'
        return head.encode() + preamble + inside + delimiter + b"--\n"

    # -- signatures ---------------------------------------------------------------------------

    def smime(self, part: bytes) -> Signed:
        """S/MIME's clear signature, which any verifier accepts."""
        content = crlf(part)
        options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
        signature = _sign(content, options)
        kind = 'application/pkcs7-signature; name="smime.p7s"'
        made = self.several(
            "signed",
            [part, self.part(kind, signature, "base64", "Content-Disposition: attachment")],
            b"This is an S/MIME signed message\n\n",
            '; protocol="application/pkcs7-signature"; micalg=sha-256',
        )
        return Signed(made, (_body(made),), smime=True)

    def smime_opaque(self, part: bytes) -> Signed:
        """The same as one part that only a reader of S/MIME opens."""
        der = _sign(crlf(part), [pkcs7.PKCS7Options.Binary])
        kind = 'application/pkcs7-mime; smime-type=signed-data; name="smime.p7m"'
        return Signed(self.part(kind, der, "base64"))

    def pgp(self, part: bytes, **named: bool) -> Signed:
        """PGP/MIME; the signature is noise in its form."""
        signature = self.part("application/pgp-signature", self.armor("SIGNATURE"))
        made = self.several(
            "signed",
            [part, signature],
            b"",
            '; micalg=pgp-sha512;\n\tprotocol="application/pgp-signature"',
        )
        return Signed(made, (_body(made),), **named)

    def pgp_encrypted(self) -> Signed:
        parts = [
            self.part("application/pgp-encrypted", b"Version: 1\n"),
            self.part("application/octet-stream", self.armor("MESSAGE")),
        ]
        made = self.several("encrypted", parts, b"", '; protocol="application/pgp-encrypted"')
        return Signed(made, (_body(made),))

    def pgp_inline(self) -> Signed:
        text = b"- -- \nHello,\n\n- From here\n"
        clear = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + text
        made = clear + self.armor("SIGNATURE")
        whole = self.part("text/plain; charset=utf-8", made, "7bit")
        return Signed(whole, (crlf(made),))

    def within(self, kind: str, signed: Signed, *parts: bytes) -> Signed:
        """What is signed as the first of several parts."""
        made = self.several(kind, [signed.octets, *parts])
        return Signed(made, signed.intact, signed.smime, signed.sealed_eight_bit)

    def armor(self, kind: str) -> bytes:
        noise = base64.encodebytes(self.draw.randbytes(300))
        return b"-----BEGIN PGP %b-----\n\n%b=AbCd\n-----END PGP %b-----\n" % (
            kind.encode(),
            noise,
            kind.encode(),
        )


def _encoded(octets: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return base64.encodebytes(octets)
    if encoding == "quoted-printable":
        return quopri.encodestring(octets)
    return octets


def crlf(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _body(entity: bytes) -> bytes:
    return crlf(entity.partition(b"\n\n")[2])


@cache
def signer() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Whoever signs with S/MIME."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "alice@home.test")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=36500))
    )
    return builder.sign(key, SHA256()), key


def _sign(content: bytes, options: list[pkcs7.PKCS7Options]) -> bytes:
    certificate, key = signer()
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(certificate, key, SHA256())
    return builder.sign(Encoding.DER, options)
