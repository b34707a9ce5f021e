"""Messages encrypted to somebody's key."""

from __future__ import annotations

from mixminion.crypto import hpke, kem
from mixminion.crypto.aead import Forged
from mixminion.payload import deflate, sealed
from mixminion.payload.errors import BadPayload
from tests.fuzz.driver import Subject, Target

_PRIVATE = bytes(range(32, 64))
_MOST = 2000


def _sealed_messages() -> list[tuple[bytes, bytes]]:
    """Encrypted messages of each form, and what is in them."""
    public, text = kem.public_from_seed(_PRIVATE), b"line after line\r\n" * 20
    packed = b"".join(deflate.deflate([text], len(text)))
    insides = [
        b"\0\0\0\0\0\0",
        b"\0\0\0\0\0\5hello" + bytes(20),
        b"\1\0" + len(text).to_bytes(4) + text + bytes(9),
        b"\1\1" + len(packed).to_bytes(4) + packed + bytes(9),
    ]
    info = sealed.INFO + sealed.HEAD
    return [(sealed.HEAD + hpke.seal(public, inside, info), inside) for inside in insides]


def _check_opened(opened: sealed.Opened) -> object:
    assert len(opened.content) <= _MOST
    return opened.kind, min(len(opened.content), 2)


def _encrypted() -> Subject:
    """Encrypted messages as they come."""

    def run(octets: bytes) -> object:
        return _check_opened(sealed.open(_PRIVATE, octets, _MOST))

    return Subject(run, [octets for octets, _ in _sealed_messages()])


def _encrypted_inside() -> Subject:
    """What a sender, who needs nothing but the key, can put into one."""
    public, info = kem.public_from_seed(_PRIVATE), sealed.INFO + sealed.HEAD

    def run(octets: bytes) -> object:
        whole = sealed.HEAD + hpke.seal(public, octets, info)
        return _check_opened(sealed.open(_PRIVATE, whole, _MOST))

    return Subject(run, [inside for _, inside in _sealed_messages()])


TARGETS = [
    Target("encrypted", _encrypted, (Forged, BadPayload)),
    Target("encrypted-inside", _encrypted_inside, (BadPayload,), longest=512),
]
