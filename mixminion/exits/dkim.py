"""The keys that an exit signs its mail with (RFC 6376, RFC 8301, RFC 8463).

OpenSSL signs, by the library that does the rest of our cryptography: dkimpy would bring three
packages, and computes RSA on Python's integers, whose time tells of the key.  It checks our
signatures in the tests.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from typing_extensions import override

from mixminion.config.values import Value
from mixminion.disk import private
from mixminion.errors import OperatorError

RSA = "rsa"
ED25519 = "ed25519"
ALGORITHMS = (RSA, ED25519)
"""The types of keys.  Signatures stand in this order: who reads one only, reads the first, and
some of the largest readers know RSA alone."""

BITS = range(2048, 4097)

_SELECTOR = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_RECORD_PART = 255


class UnusableKey(OperatorError):
    """A key for DKIM cannot be used.  Fields: ``path``, ``problem``."""

    code = "dkim-key"
    sentence = "The DKIM key {path} cannot be used: {problem}."


@dataclass(frozen=True, slots=True)
class KeyFile:
    """``SELECTOR PATH``: under which name the world finds the key, and the file it is in."""

    selector: str
    path: Path

    @classmethod
    def parse(cls, text: str) -> KeyFile:
        """Read one; raises :class:`ValueError`."""
        selector, _, path = text.partition(" ")
        if not _SELECTOR.fullmatch(selector) or not path.strip() or path.strip()[0] == "~":
            raise ValueError
        return cls(selector, Path(path.strip()))

    def under(self, home: Path) -> KeyFile:
        """The same, a relative path put under *home*."""
        return KeyFile(self.selector, home / self.path)

    @override
    def __str__(self) -> str:
        return f"{self.selector} {self.path}"


key_file: Value[KeyFile] = Value(
    "a selector and a private file, such as mail2027 dkim/rsa.pem",
    KeyFile.parse,
    str,
    KeyFile.under,
)


@dataclass(frozen=True, slots=True)
class Key:
    """A private key with its place in the DNS; a :class:`mixminion.mail.dkim.Signer`."""

    domain: str
    selector: str
    key: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)

    @property
    def type(self) -> str:
        """One of :data:`ALGORITHMS`."""
        return RSA if isinstance(self.key, RSAPrivateKey) else ED25519

    @property
    def algorithm(self) -> str:
        """See :class:`~mixminion.mail.dkim.Signer`."""
        return f"{self.type}-sha256"

    def sign(self, octets: bytes) -> bytes:
        """See :class:`~mixminion.mail.dkim.Signer`."""
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(hashlib.sha256(octets).digest())

    @property
    def name(self) -> str:
        """Where its record belongs in the DNS."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The text of its TXT record."""
        public = self.key.public_key()
        if self.type == ED25519:
            octets = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        else:
            octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k={self.type}; p={b64encode(octets).decode()}"

    @property
    def zone_line(self) -> str:
        """The record as a line of a zone file, in strings of 255 at most."""
        text = self.record
        parts = [text[at : at + _RECORD_PART] for at in range(0, len(text), _RECORD_PART)]
        strings = " ".join(f'"{part}"' for part in parts)
        return f"{self.name}. IN TXT ( {strings} )"


def load(domain: str, files: Iterable[KeyFile]) -> list[Key]:
    """The keys in *files*, in the order in which they sign.

    :raises UnusableKey: one is missing, or no RSA key of 2048 to 4096 bits nor Ed25519 in PEM.
    :raises mixminion.disk.errors.PrivateFileError: others can read it.
    """
    keys = [Key(domain, each.selector, _read(each.path)) for each in files]
    return sorted(keys, key=lambda key: ALGORITHMS.index(key.type))


def generate(kind: str) -> bytes:
    """A new private key of one of :data:`ALGORITHMS`, in PEM."""
    made = Ed25519PrivateKey.generate() if kind == ED25519 else generate_private_key(65537, 2048)
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _read(path: Path) -> RSAPrivateKey | Ed25519PrivateKey:
    try:
        key = load_pem_private_key(private.read(path), None)
    except FileNotFoundError:
        raise UnusableKey(path=path, problem="there is no such file") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey(path=path, problem="expected a private key in PEM, open") from None
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, RSAPrivateKey) and key.key_size in BITS:
        return key
    raise UnusableKey(path=path, problem="expected Ed25519, or RSA of 2048 to 4096 bits")
