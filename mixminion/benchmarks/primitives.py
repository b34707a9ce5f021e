"""Unwrapping, building and LIONESS against the bare primitives that they stand on.

A bare list is the same cryptography in the library's own calls, constructors included and
keys loaded, and no Sphinx around it: no slicing, no templates, no answer.  Ours and the
bare list take turns, so that both see the same machine; a figure is the median of all turns.
"""

from __future__ import annotations

import hashlib
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from typing_extensions import override

from mixminion.crypto import lioness
from mixminion.crypto.rng import SystemRandom
from mixminion.sphinx import build, geometry
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.unwrap import Unwrapper

TURNS = 20  #: of each side in a round

Row = dict[str, Any]
Work = Callable[[], object]


def run(rounds: int = 20) -> list[Row]:
    """The table's rows: median microseconds, the bare list's as bound, and their ratio."""
    rows = []
    for bare in (BareXWing(), BareX25519()):
        rows += _packets(bare, rounds)
    g = geometry.default()
    octets = SystemRandom().octets
    ours = partial(lioness.decrypt, octets(64), octets(23), octets(g.payload))
    rows.append(measure("lioness", ours, BareXWing().payload, rounds))
    return rows


def _packets(bare: Bare, rounds: int) -> list[Row]:
    g, random = bare.geometry, SystemRandom()
    path, unwrappers = [], []
    for _ in range(g.hops):
        node_id = random.octets(32)
        private, public = g.suite.generate()
        path.append(build.Hop(node_id, public, 240_000))
        unwrappers.append(Unwrapper(g, node_id, private))
    body = random.octets(g.body)
    packet = build.forward(g, path, body, random)
    unwrap = partial(unwrappers[0].unwrap, packet)
    make = partial(build.forward, g, path, body, random)
    name = g.suite.name
    return [
        measure(f"unwrap-{name}", unwrap, bare.unwrap, rounds),
        measure(f"build-{name}", make, bare.build, rounds),
    ]


def measure(name: str, ours: Work, bare: Work, rounds: int) -> Row:
    """One row, from ``rounds * TURNS`` turns of each side."""
    mine: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds * TURNS):
        for work, times in ((ours, mine), (bare, theirs)):
            begin = time.perf_counter()
            work()
            times.append(time.perf_counter() - begin)
    value, bound = (statistics.median(times) * 1e6 for times in (mine, theirs))
    return {"name": name, "value": value, "unit": "us", "bound": bound, "ratio": value / bound}


class Bare(ABC):
    """The primitives of one packet of the default geometry."""

    def __init__(self, suite: str) -> None:
        self.geometry: Geometry = geometry.default(suite)
        g, octets = self.geometry, SystemRandom().octets
        self._key, self._iv, self._left = octets(32), octets(16), octets(32)
        self._info = octets(16 + 32 + 32 + len("header"))
        self._authenticated = octets(g.header - 32)
        self._stream = octets(g.routing + g.slot)
        self._right = octets(g.payload - 32)

    @abstractmethod
    def unwrap(self) -> None:
        """What one hop computes."""

    @abstractmethod
    def share(self) -> None:
        """What the sender computes for one hop to share a secret."""

    def build(self) -> None:
        """What the sender computes for all hops."""
        for _ in range(self.geometry.hops):
            self.share()
            self.symmetric()

    def symmetric(self) -> None:
        """What header and payload cost beside the shared secret."""
        self._expand(160)
        self._hmac(self._authenticated)
        Cipher(algorithms.AES(self._key), modes.CTR(self._iv)).encryptor().update(self._stream)
        self._expand(16)
        self.payload()

    def payload(self) -> None:
        """LIONESS once."""
        self._expand(128)
        for _ in range(2):
            self._chacha20(self._right)
            self._hmac(self._right)

    def _expand(self, n: int) -> bytes:
        return HKDFExpand(hashes.SHA256(), n, self._info).derive(self._key)

    def _hmac(self, octets: bytes) -> bytes:
        # Both pads ready: the quickest HMAC there is here.
        inner = hashlib.sha256(self._key + self._key)
        inner.update(octets)
        return hashlib.sha256(self._key + self._key + inner.digest()).digest()

    def _chacha20(self, octets: bytes) -> bytes:
        return Cipher(algorithms.ChaCha20(self._key, self._iv), None).encryptor().update(octets)


class BareXWing(Bare):
    """ML-KEM-768, X25519 and SHA3-256."""

    def __init__(self) -> None:
        super().__init__("xwing")
        self._ml_kem, self._x25519 = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
        self._ml_public = self._ml_kem.public_key().public_bytes_raw()
        self._ciphertext = self._ml_kem.public_key().encapsulate()[1]
        self._point = X25519PrivateKey.generate().public_key().public_bytes_raw()
        self._combined = SystemRandom().octets(4 * 32 + 6)

    @override
    def unwrap(self) -> None:
        self._x25519.exchange(X25519PublicKey.from_public_bytes(self._point))
        self._ml_kem.decapsulate(self._ciphertext)
        hashlib.sha3_256(self._combined).digest()
        self.symmetric()

    @override
    def share(self) -> None:
        ephemeral = X25519PrivateKey.generate()
        ephemeral.public_key().public_bytes_raw()
        ephemeral.exchange(X25519PublicKey.from_public_bytes(self._point))
        MLKEM768PublicKey.from_public_bytes(self._ml_public).encapsulate()
        hashlib.sha3_256(self._combined).digest()


class BareX25519(Bare):
    """Two exchanges, HKDF-Extract, ChaCha20 of 32 octets."""

    def __init__(self) -> None:
        super().__init__("x25519")
        self._x25519 = X25519PrivateKey.generate()
        self._point = X25519PrivateKey.generate().public_key().public_bytes_raw()
        self._transcript = SystemRandom().octets(3 * 32)

    @override
    def unwrap(self) -> None:
        self._x25519.exchange(X25519PublicKey.from_public_bytes(self._point))
        self._blind()
        self.symmetric()

    @override
    def share(self) -> None:
        ephemeral = X25519PrivateKey.generate()
        ephemeral.public_key().public_bytes_raw()
        ephemeral.exchange(X25519PublicKey.from_public_bytes(self._point))
        self._blind()

    def _blind(self) -> None:
        self._hmac(self._transcript)
        scalar = X25519PrivateKey.from_private_bytes(self._chacha20(self._left))
        scalar.exchange(X25519PublicKey.from_public_bytes(self._point))
