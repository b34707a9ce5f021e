"""The injected generators: the system's, and one that repeats itself for tests and vectors."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from typing_extensions import override

from mixminion.crypto.kdf import sha256
from mixminion.interfaces import Random


class _FromOctets(Random):
    """Every distribution, made of :meth:`octets`."""

    @abstractmethod
    @override
    def octets(self, n: int) -> bytes: ...

    @override
    def below(self, n: int) -> int:
        """Uniform on ``0 <= x < n``, by rejection; ValueError when *n* is not positive."""
        if n < 1:
            raise ValueError("nothing is below that")
        bits = (n - 1).bit_length()
        size = (bits + 7) // 8
        while True:
            x = int.from_bytes(self.octets(size)) >> (size * 8 - bits)
            if x < n:
                return x

    @override
    def uniform(self) -> float:
        """Uniform on ``[0, 1)``, a multiple of 2**-53."""
        return (int.from_bytes(self.octets(7)) >> 3) * 2.0**-53

    @override
    def exponential(self, mean: float) -> float:
        """By inversion; never infinite, since ``1 - uniform()`` is never zero."""
        return -mean * math.log(1.0 - self.uniform())

    @override
    def shuffle(self, items: list[Any]) -> None:
        """Fisher and Yates."""
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]


class SystemRandom(_FromOctets):
    """The operating system's generator."""

    __slots__ = ()

    @override
    def octets(self, n: int) -> bytes:
        return os.urandom(n)


class SeededRandom(_FromOctets):
    """The ChaCha20 key stream under SHA-256(seed), nonce zero: the same for the same seed."""

    __slots__ = ("_stream",)

    def __init__(self, seed: bytes) -> None:
        key = sha256(seed)
        self._stream = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()

    @override
    def octets(self, n: int) -> bytes:
        return self._stream.update(bytes(n))
