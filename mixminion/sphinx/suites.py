"""The suites: how sender and hop come to share a secret, and what that costs in octets.

``xwing`` encapsulates to every hop and carries each next ciphertext in the slot before;
``x25519`` carries one point, which every hop blinds for the next (classical Sphinx).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from typing_extensions import override

from mixminion.crypto import kem, x25519
from mixminion.crypto.kdf import hkdf_extract
from mixminion.crypto.stream import chacha20
from mixminion.interfaces import Random


class Receiver(Protocol):
    """A hop's side, its private key loaded."""

    def secret(self, element: bytes) -> bytes:
        """PRK(32) of a packet; LowOrderPoint when the element is refused."""


class Sender(Protocol):
    """The side of whoever makes one header, called for hop after hop."""

    def share(self, public: bytes) -> tuple[bytes, bytes]:
        """Element and PRK(32) for the next hop; BadPublicKey or LowOrderPoint."""

    def blind(self, seed: bytes) -> None:
        """Go on behind a hop whose blinding seed(32) this is."""


class Suite(ABC):
    """Names, sizes in octets, and the two sides of the key exchange.

    ``string(16)`` stands in every derivation, ``ad(2)`` begins every header, ``code`` stands
    in reply blocks; ``element`` is the length of a header's element and ``carried`` how much of
    a slot the next one takes.
    """

    name: str
    string: bytes
    ad: bytes
    code: int
    element: int
    carried: int

    @override
    def __repr__(self) -> str:
        return f"<suite {self.name}>"

    @abstractmethod
    def generate(self) -> tuple[bytes, bytes]:
        """A new packet key: private(32) and public."""

    @abstractmethod
    def public(self, private: bytes) -> bytes:
        """The public packet key of a private one(32)."""

    @abstractmethod
    def receiver(self, private: bytes) -> Receiver:
        """Load a private packet key(32)."""

    @abstractmethod
    def sender(self, random: Random) -> Sender:
        """Begin one header."""

    @abstractmethod
    def next_element(self, element: bytes, carried: bytes, seed: bytes) -> bytes:
        """The element behind a hop: the one that its slot *carried*, or *element* blinded
        with the hop's *seed*."""


class _XWing(Suite):
    name = "xwing"
    string = b"mixminion2-xwing"
    ad = b"\x02\x01"
    code = 1
    element = kem.CIPHERTEXT
    carried = kem.CIPHERTEXT

    @override
    def generate(self) -> tuple[bytes, bytes]:
        return kem.generate()

    @override
    def public(self, private: bytes) -> bytes:
        return kem.public_from_seed(private)

    @override
    def receiver(self, private: bytes) -> Receiver:
        return _XWingReceiver(private)

    @override
    def sender(self, random: Random) -> Sender:
        return _XWingSender()

    @override
    def next_element(self, element: bytes, carried: bytes, seed: bytes) -> bytes:
        return carried


class _XWingReceiver:
    __slots__ = ("secret",)

    def __init__(self, private: bytes) -> None:
        self.secret = kem.PrivateKey(private).decapsulate


class _XWingSender:
    __slots__ = ()

    def share(self, public: bytes) -> tuple[bytes, bytes]:
        secret, ciphertext = kem.encapsulate(public)
        return ciphertext, secret

    def blind(self, seed: bytes) -> None:
        """Every hop has a ciphertext of its own."""


class _X25519(Suite):
    name = "x25519"
    string = b"mixminion2-25519"
    ad = b"\x02\x02"
    code = 2
    element = x25519.SIZE
    carried = 0

    @override
    def generate(self) -> tuple[bytes, bytes]:
        return x25519.generate()

    @override
    def public(self, private: bytes) -> bytes:
        return x25519.public(private)

    @override
    def receiver(self, private: bytes) -> Receiver:
        return _X25519Receiver(private)

    @override
    def sender(self, random: Random) -> Sender:
        return _X25519Sender(random)

    @override
    def next_element(self, element: bytes, carried: bytes, seed: bytes) -> bytes:
        # Never refused: the hop's own exchange showed that the point is not of low order, and a
        # clamped scalar is a multiple of 8 below 8 times the order of curve or twist.
        return _blinding(seed).exchange(element)


def _blinding(seed: bytes) -> x25519.PrivateKey:
    """The scalar that blinds an element, from a hop's blinding seed(32)."""
    return x25519.PrivateKey(chacha20(seed, bytes(32)))


class _X25519Receiver:
    __slots__ = ("_key",)

    def __init__(self, private: bytes) -> None:
        self._key = x25519.PrivateKey(private)

    def secret(self, element: bytes) -> bytes:
        shared = self._key.exchange(element)
        return hkdf_extract(_X25519.string, shared + element + self._key.public)


class _X25519Sender:
    """Keeps the element of the hop at hand and the scalars that lead to its secret."""

    __slots__ = ("_element", "_scalars")

    def __init__(self, random: Random) -> None:
        ephemeral = x25519.PrivateKey(random.octets(32))
        self._scalars = [ephemeral]
        self._element = ephemeral.public

    def share(self, public: bytes) -> tuple[bytes, bytes]:
        shared = public
        for scalar in self._scalars:
            shared = scalar.exchange(shared)
        element = self._element
        return element, hkdf_extract(_X25519.string, shared + element + public)

    def blind(self, seed: bytes) -> None:
        scalar = _blinding(seed)
        self._scalars.append(scalar)
        self._element = scalar.exchange(self._element)


XWING: Suite = _XWing()
X25519: Suite = _X25519()

_BY_NAME = {suite.name: suite for suite in (XWING, X25519)}
_BY_CODE = {suite.code: suite for suite in _BY_NAME.values()}

NAMES = tuple(_BY_NAME)
"""Of all suites that this software knows."""


def by_name(name: str) -> Suite:
    """The suite of that name; KeyError when there is none."""
    return _BY_NAME[name]


def by_code(code: int) -> Suite:
    """The suite of that code; KeyError when there is none."""
    return _BY_CODE[code]
