"""What a mix, and the owner of a reply block, does with octets that arrive.

To be read beside ``doc/spec/packet.rst``: comments name its sections, and names are its
names.  Only the standard library and ``cryptography``; nothing here is constant time but
what the specification asks for, and nothing is fast.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand


class Dropped(Exception):
    """A packet fails a check of "Unwrapping"; *reason* is that check's word."""

    @property
    def reason(self) -> str:
        return str(self)


class Refused(Exception):
    """Octets that are no reply block, or a payload that its owner cannot open."""


# Notation ------------------------------------------------------------------------------
def number(x: bytes) -> int:
    return int.from_bytes(x, "big")


def xor(x: bytes, y: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(x, y, strict=True))


def mac(k: bytes, x: bytes) -> bytes:
    return hmac.digest(k, x, "sha256")


def extract(salt: bytes, x: bytes) -> bytes:
    return HKDF.extract(SHA256(), salt, x)


def expand(k: bytes, info: bytes, n: int) -> bytes:
    return HKDFExpand(SHA256(), n, info).derive(k)


def aes_ctr(k: bytes, iv: bytes, n: int) -> bytes:
    return Cipher(algorithms.AES256(k), modes.CTR(iv)).encryptor().update(bytes(n))


def chacha20(k: bytes, n: int) -> bytes:
    # The library's "nonce" is the block counter, little-endian, and then RFC 8439's nonce.
    return Cipher(algorithms.ChaCha20(k, bytes(16)), None).encryptor().update(bytes(n))


def x25519(s: bytes, u: bytes) -> bytes:
    """The shared point; :raises Dropped: ``element`` when it is 32 zeros."""
    try:
        private = X25519PrivateKey.from_private_bytes(s)
        return private.exchange(X25519PublicKey.from_public_bytes(u))
    except ValueError:  # the library's word for 32 zeros
        raise Dropped("element") from None


def x25519_public(s: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(s).public_key().public_bytes_raw()


# Suites, Geometry ----------------------------------------------------------------------
@dataclass(frozen=True)
class Suite:
    string: bytes
    ad: bytes
    code: bytes
    element: int


SUITES = {
    "xwing": Suite(b"mixminion2-xwing", b"\x02\x01", b"\x01", 1120),
    "x25519": Suite(b"mixminion2-25519", b"\x02\x02", b"\x02", 32),
}


class Geometry:
    """All the sizes that follow from four values."""

    def __init__(self, suite: str, hops: int, commands: int, packet: int) -> None:
        self.suite = SUITES[suite]
        self.xwing = suite == "xwing"
        self.commands, self.packet = commands, packet
        self.slot = commands + (1120 if self.xwing else 0)
        self.routing = hops * self.slot
        self.header = 2 + self.suite.element + self.routing + 32
        self.payload = packet - self.header
        self.body = self.payload - 32
        self.sealed = self.payload - self.header - 104
        self.surb = 26 + self.header + 96
        if not (1 <= hops <= 255 and 70 <= commands <= 65535 and packet <= 1 << 20):
            raise ValueError("a value out of its range")
        if self.sealed < 40:
            raise ValueError("no room for a sealed reply")
        values = hops.to_bytes(1, "big") + commands.to_bytes(2, "big") + packet.to_bytes(4, "big")
        self.digest = hashlib.sha256(self.suite.string + values).digest()


# X-Wing --------------------------------------------------------------------------------
def xwing_keys(seed: bytes) -> tuple[MLKEM768PrivateKey, bytes]:
    """ML-KEM's private key and X25519's."""
    e = hashlib.shake_256(seed).digest(96)  # d(32) | z(32) | X25519 private key(32)
    return MLKEM768PrivateKey.from_seed_bytes(e[:64]), e[64:96]


def xwing_public(seed: bytes) -> bytes:
    ml_kem, x = xwing_keys(seed)
    return ml_kem.public_key().public_bytes_raw() + x25519_public(x)


def xwing_decapsulate(seed: bytes, ciphertext: bytes) -> bytes:
    ml_kem, x = xwing_keys(seed)
    ct_m, ct_x = ciphertext[:1088], ciphertext[1088:]
    ss_x = x25519(x, ct_x)
    ss_m = ml_kem.decapsulate(ct_m)
    label = bytes.fromhex("5c2e2f2f5e5c")
    return hashlib.sha3_256(ss_m + ss_x + ct_x + x25519_public(x) + label).digest()


# Keys of a hop -------------------------------------------------------------------------
def hop_keys(g: Geometry, node_id: bytes, private: bytes, element: bytes) -> tuple[bytes, ...]:
    """MAC key, header stream S, payload secret, blinding seed, replay tag."""
    if g.xwing:
        prk = xwing_decapsulate(private, element)
    else:
        dh = x25519(private, element)
        prk = extract(g.suite.string, dh + element + x25519_public(private))
    context = g.suite.string + g.digest + node_id
    keys = expand(prk, context + b"header", 160)
    stream = aes_ctr(keys[32:64], keys[64:80], g.routing + g.slot)
    tag = expand(prk, context + b"tag", 16)
    return keys[:32], stream, keys[80:128] + keys[64:80], keys[128:160], tag


# The payload ---------------------------------------------------------------------------
def lioness_keys(suite: Suite, secret: bytes) -> list[bytes]:
    k = expand(secret, suite.string + b"lioness", 128)
    return [k[:32], k[32:64], k[64:96], k[96:]]


def lioness_decrypt(suite: Suite, secret: bytes, block: bytes) -> bytes:
    k1, k2, k3, k4 = lioness_keys(suite, secret)
    left, right = block[:32], block[32:]
    left = xor(left, mac(k4, right))
    right = xor(right, chacha20(xor(left, k3), len(right)))
    left = xor(left, mac(k2, right))
    right = xor(right, chacha20(xor(left, k1), len(right)))
    return left + right


def lioness_encrypt(suite: Suite, secret: bytes, block: bytes) -> bytes:
    k1, k2, k3, k4 = lioness_keys(suite, secret)
    left, right = block[:32], block[32:]
    right = xor(right, chacha20(xor(left, k1), len(right)))
    left = xor(left, mac(k2, right))
    right = xor(right, chacha20(xor(left, k3), len(right)))
    left = xor(left, mac(k4, right))
    return left + right


# Slots ---------------------------------------------------------------------------------
def reply_slot(slot: bytes) -> tuple[bytes, str, str]:
    """SURB id, exit name and address of a Reply slot."""
    e = slot[23]
    # Zeros behind the end: what runs over it fails its check, not an index here.
    a = number((slot + bytes(512))[24 + e : 26 + e])
    end = 26 + e + a
    if slot[22] != 4 or end + 1 > len(slot) or slot[end] != 0:
        raise Dropped("slot")
    name = slot[24 : 24 + e]
    try:
        address = slot[26 + e : end].decode("utf-8")
    except UnicodeDecodeError:
        raise Dropped("slot") from None
    if not re.fullmatch(rb"[\x21-\x7e]+", name) or re.search("[\0-\x1f\x7f]", address):
        raise Dropped("slot")
    return slot[6:22], name.decode("ascii"), address


# Unwrapping ----------------------------------------------------------------------------
@dataclass(frozen=True)
class Answer:
    tag: bytes
    delay_ms: int


@dataclass(frozen=True)
class Relay(Answer):
    node_id: bytes
    packet: bytes


@dataclass(frozen=True)
class Deliver(Answer):
    body: bytes


@dataclass(frozen=True)
class Reply(Answer):
    surb_id: bytes
    exit_name: str
    address: str
    payload: bytes


def unwrap(g: Geometry, node_id: bytes, private: bytes, packet: bytes) -> Answer:
    """:raises Dropped: at the first of the seven steps that fails."""
    suite = g.suite
    # Layout, steps 1 and 2
    if len(packet) != g.packet:
        raise Dropped("length")
    if packet[:2] != suite.ad:
        raise Dropped("version")
    element = packet[2 : 2 + suite.element]
    routing = packet[2 + suite.element : g.header - 32]
    # Step 3
    mac_key, stream, payload_secret, blinding_seed, tag = hop_keys(g, node_id, private, element)
    # Step 4
    expected = mac(mac_key, suite.ad + element + routing)
    if not hmac.compare_digest(expected, packet[g.header - 32 : g.header]):
        raise Dropped("mac")
    # Slots, step 5
    clear = xor(routing + bytes(g.slot), stream)
    slot, next_routing = clear[: g.slot], clear[g.slot :]
    delay_ms, kind = number(slot[1:5]), slot[5]
    if slot[0] != 0x80 or kind not in (1, 3, 4, 5):
        raise Dropped("slot")
    if (kind == 1 and any(slot[70 : g.commands])) or (kind in (4, 5) and slot[6] != 0):
        raise Dropped("slot")
    surb_id, exit_name, address = reply_slot(slot) if kind == 3 else (b"", "", "")
    # Step 6
    payload = lioness_decrypt(suite, payload_secret, packet[g.header :])
    if kind == 1:
        # The ciphertext's place is empty in suite x25519.
        next_element = slot[g.commands :] or x25519(chacha20(blinding_seed, 32), element)
        onward = suite.ad + next_element + next_routing + slot[38:70] + payload
        return Relay(tag, delay_ms, slot[6:38], onward)
    if kind == 3:
        return Reply(tag, delay_ms, surb_id, exit_name, address, payload)
    if not hmac.compare_digest(payload[:32], bytes(32)):
        raise Dropped("payload")
    body = payload[32:]
    if kind == 4:
        return Deliver(tag, delay_ms, body)
    # The sealed crossover, step 7
    if body[:8] != bytes([1, 4, 0, 0]) + (g.body - 8).to_bytes(4, "big"):
        raise Dropped("crossover")
    onward = body[72:] + chacha20(body[40:72], g.header + 104)
    return Relay(tag, delay_ms, body[8:40], onward)


# Reply blocks --------------------------------------------------------------------------
def read_surb(g: Geometry, surb: bytes) -> tuple[bytes, bytes, bytes]:
    """Header, first hop's node id and SURB key; :raises Refused: when it is none."""
    start = b"\x01" + g.suite.code + g.digest[:8]
    if len(surb) != g.surb or surb[:10] != start or number(surb[10:18]) > number(surb[18:26]):
        raise Refused("not a reply block of this geometry")
    header, rest = surb[26 : 26 + g.header], surb[26 + g.header :]
    if header[:2] != g.suite.ad:
        raise Refused("not a header of this suite")
    return header, rest[:32], rest[32:]


def tail(g: Geometry, surb_key: bytes) -> tuple[bytes, bytes]:
    """The seed of "The sealed crossover" and what it is stretched to."""
    seed = expand(surb_key, g.suite.string + b"tail", 32)
    return seed, chacha20(seed, g.header + 104)


def open_reply(g: Geometry, secrets: Sequence[bytes], surb_key: bytes, payload: bytes) -> bytes:
    """The content of a reply; *secrets* are the hops' payload secrets, first to last."""
    if len(payload) != g.payload:
        raise Refused("not a payload of this geometry")
    for secret in reversed(secrets):
        payload = lioness_encrypt(g.suite, secret, payload)
    opened = lioness_decrypt(g.suite, surb_key, payload[: g.sealed])
    if opened[:32] != bytes(32) or payload[g.sealed :] != tail(g, surb_key)[1]:
        raise Refused("not what was sealed for this reply block")
    # doc/spec/payload.rst, "Frames" and "Reply"
    frame = opened[32:]
    length = number(frame[4:8])
    if frame[:4] != bytes([1, 5, 0, 0]) or length > len(frame) - 8:
        raise Refused("not a reply frame")
    return frame[8 : 8 + length]
