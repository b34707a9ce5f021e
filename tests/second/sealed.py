"""Encrypted messages as their recipient opens them, from ``doc/spec/sealed.rst``, RFC 9180, and the
X-Wing of :mod:`tests.second.unwrap`."""

from __future__ import annotations

import zlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.second.unwrap import Dropped, expand, extract, number, xwing_decapsulate

SUITE = b"HPKE" + bytes.fromhex("647a00010002")


class Refused(Exception):
    """The check that fails."""


def labeled_extract(salt: bytes, label: bytes, x: bytes) -> bytes:
    return extract(salt, b"HPKE-v1" + SUITE + label + x)


def labeled_expand(k: bytes, label: bytes, info: bytes, n: int) -> bytes:
    return expand(k, n.to_bytes(2, "big") + b"HPKE-v1" + SUITE + label + info, n)


def hpke_open(seed: bytes, enc: bytes, ciphertext: bytes, info: bytes) -> bytes:
    """RFC 9180, 5.1 and 6.1, base mode."""
    secret = xwing_decapsulate(seed, enc)
    context = b"\0" + labeled_extract(b"", b"psk_id_hash", b"")
    context += labeled_extract(b"", b"info_hash", info)
    k = labeled_extract(secret, b"secret", b"")
    key = labeled_expand(k, b"key", context, 32)
    nonce = labeled_expand(k, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, ciphertext, b"")


def open_sealed(seed: bytes, octets: bytes) -> tuple[int, bytes]:
    """Kind and content."""
    if octets[:7] != b"MIXENCR":
        raise Refused("kind")
    if octets[7:8] != b"\1":
        raise Refused("version")
    try:
        info = b"mixminion2 encrypted message" + octets[:8]
        plain = hpke_open(seed, octets[8:1128], octets[1128:], info)
    except (Dropped, InvalidTag, ValueError):
        raise Refused("forged") from None
    if len(plain) < 6:
        raise Refused("short")
    kind, coding, length = plain[0], plain[1], number(plain[2:6])
    if kind > 1:
        raise Refused("kind")
    if coding > 1:
        raise Refused("coding")
    coded, rest = plain[6 : 6 + length], plain[6 + length :]
    if len(coded) < length:
        raise Refused("length")
    if any(rest):
        raise Refused("zeros")
    return kind, inflated(coded) if coding else coded


def inflated(coded: bytes) -> bytes:
    size = number(coded[:4])
    if size > 32 * (len(coded) - 4):
        raise Refused("size")
    expander = zlib.decompressobj(-15)
    try:
        made = expander.decompress(coded[4:], size + 1)
    except zlib.error:
        raise Refused("deflate") from None
    if len(made) != size or not expander.eof or expander.unused_data:
        raise Refused("deflate")
    return made
