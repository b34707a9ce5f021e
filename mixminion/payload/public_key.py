"""Keys that messages are encrypted to, as they are handed out, and their fingerprints.

doc/spec/sealed.rst fixes both.
"""

from __future__ import annotations

import re

from mixminion.crypto import hpke, kem
from mixminion.crypto.errors import BadPublicKey
from mixminion.crypto.kdf import sha256
from mixminion.payload.errors import BadKey
from mixminion.util import armor

MAGIC = b"MIXPKEY"
VERSION = 1
HEAD = MAGIC + bytes((VERSION,))
LENGTH = len(HEAD) + kem.PUBLIC

ARMOR = "MIXMINION PUBLIC KEY"
"""The kind of its armor."""

LONGEST = 65_536
"""Octets of a file with a key in it."""

FINGERPRINT = 32

_LABEL = b"mixminion2 public key"
_GROUP = 4
_WRITTEN = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BETWEEN = re.compile(r"[\s:-]+")


def fingerprint(public: bytes) -> bytes:
    """The 32 octets by which people compare keys."""
    return sha256(_LABEL + public)


def grouped(octets: bytes) -> str:
    """A fingerprint for people: sixteen groups of four hexadecimal digits."""
    digits = octets.hex()
    return " ".join(digits[at : at + _GROUP] for at in range(0, len(digits), _GROUP))


def read_fingerprint(text: str) -> bytes | None:
    """A whole fingerprint as people write it: in small letters or capitals, with blanks, colons
    or hyphens anywhere; None when it is none."""
    digits = _BETWEEN.sub("", text).lower()
    return bytes.fromhex(digits) if _WRITTEN.fullmatch(digits) else None


def encode(public: bytes) -> bytes:
    """1,224 octets."""
    return HEAD + public


def parse(octets: bytes) -> bytes:
    """The public key(1216) in *octets*; BadKey when there is none, or none that can be used."""
    if not octets.startswith(MAGIC):
        raise BadKey(why="it is no public key of Mixminion")
    if not octets.startswith(HEAD):
        raise BadKey(why="it is of a version that is not known here")
    if len(octets) != LENGTH:
        raise BadKey(why="it is not whole")
    public = octets[len(HEAD) :]
    check(public)
    return public


def check(public: bytes) -> None:
    """BadKey when nothing can be encrypted to *public*."""
    try:
        hpke.seal(public, b"", b"")
    except BadPublicKey:
        raise BadKey(why="nothing can be encrypted to it") from None


def to_text(public: bytes, name: str | None = None, address: str | None = None) -> str:
    """The key in armor; *name* and *address* are for people, who may believe them or not.

    ValueError when they are not printable ASCII.
    """
    headers = {"Name": name, "Address": address, "Fingerprint": grouped(fingerprint(public))}
    shown = {each: value for each, value in headers.items() if value is not None}
    return armor.encode(ARMOR, shown, encode(public))


def find(octets: bytes) -> list[tuple[bytes, str | None]]:
    """The keys in a file, armored among other text or one in binary form, each with the address
    that stands beside it.

    :raises BadKey: one of them is none.
    :raises mixminion.util.armor.BadArmor: one of them is damaged.
    """
    if octets.startswith(MAGIC):
        return [(parse(octets), None)]
    return [
        (parse(block.octets), block.headers.get("Address"))
        for block in armor.decode(octets.decode("utf-8", "replace"))
        if block.kind == ARMOR
    ]
