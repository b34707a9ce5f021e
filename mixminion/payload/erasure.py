"""The erasure code of fragments: any k of up to 256 pieces of one length give the k that were.

Systematic Reed-Solomon over GF(2^8) with a Cauchy matrix (Blomer and others, "An XOR-based
erasure-resilient coding scheme", 1995), the same octets as ISA-L's ``gf_gen_cauchy1_matrix`` and
what is built on it.  Pieces 0 to k - 1 are the data; piece i from k on is the sum, over j < k, of
1 / (i + j) times piece j.  The field is that of the polynomial ``11d``, sums are XOR.

The multiplication is ``bytes.translate`` and the sum one of long integers, both of which the
interpreter has in C: 31 us for 26,742 octets, 48 ms for the repair of 64 of them, and nothing to
install on any system (doc/design/fragments.rst compares).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

MOST_DATA = 64
"""Pieces of data in one block."""

MOST_PIECES = 256
"""Pieces of one block."""

_POLYNOMIAL = 0x11D


def _tables() -> tuple[bytes, tuple[bytes, ...]]:
    """Each element's inverse (0 for 0), and for each the table of its products."""
    powers = [1]
    while len(powers) < 255:
        double = powers[-1] << 1
        powers.append(double ^ _POLYNOMIAL if double > 255 else double)
    exponents = {power: n for n, power in enumerate(powers)}

    def times(a: int, b: int) -> int:
        return powers[(exponents[a] + exponents[b]) % 255] if a and b else 0

    inverses = bytes([0, *(powers[-exponents[a] % 255] for a in range(1, 256))])
    products = tuple(bytes(times(a, b) for b in range(256)) for a in range(256))
    return inverses, products


_INVERSE, _TIMES = _tables()


def repair(data: Sequence[bytes], index: int) -> bytes:
    """The piece number *index*, len(data) at least, of a block of *data*."""
    if not 0 < len(data) <= MOST_DATA or not len(data) <= index < MOST_PIECES:
        raise ValueError("no such piece")
    total = 0
    for number, piece in enumerate(data):
        total ^= _product(_INVERSE[index ^ number], piece)
    return total.to_bytes(len(data[0]), "little")


def recover(k: int, pieces: Mapping[int, bytes]) -> dict[int, bytes]:
    """The data that *pieces*, by number and of one length, lack; at least *k* of them."""
    return dict(filter(None, recovering(k, pieces)))


def recovering(k: int, pieces: Mapping[int, bytes]) -> Iterator[tuple[int, bytes] | None]:
    """The same, one piece after the other, or None for a step on the way: each takes at most *k*
    multiplications, between which a reactor may do something else.

    ValueError for fewer than *k* pieces.
    """
    missing = [number for number in range(k) if number not in pieces]
    rows = sorted(number for number in pieces if number >= k)[: len(missing)]
    if len(rows) < len(missing) or not 0 < k <= MOST_DATA:
        raise ValueError(f"{len(pieces)} pieces are not {k}")
    length = len(next(iter(pieces.values())))
    sums = []
    for row in rows:
        total = int.from_bytes(pieces[row], "little")
        for number in range(k):
            if number in pieces:
                total ^= _product(_INVERSE[row ^ number], pieces[number])
        sums.append(total.to_bytes(length, "little"))
        yield None
    for number, factors in zip(missing, _inverted(rows, missing), strict=True):
        total = 0
        for factor, each in zip(factors, sums, strict=True):
            total ^= _product(factor, each)
        yield number, total.to_bytes(length, "little")


def _product(factor: int, piece: bytes) -> int:
    return int.from_bytes(piece.translate(_TIMES[factor]), "little")


def _inverted(rows: Sequence[int], columns: Sequence[int]) -> list[bytes]:
    """The inverse of the matrix of 1 / (row + column), by elimination; each of its square parts has
    one, so that no pivot has to be searched for."""
    size = len(rows)
    matrix = [
        bytes(_INVERSE[row ^ column] for column in columns) + bytes(n == at for n in range(size))
        for at, row in enumerate(rows)
    ]
    for at in range(size):
        matrix[at] = matrix[at].translate(_TIMES[_INVERSE[matrix[at][at]]])
        for other in range(size):
            if other != at:
                product = matrix[at].translate(_TIMES[matrix[other][at]])
                matrix[other] = bytes(a ^ b for a, b in zip(matrix[other], product, strict=True))
    return [row[size:] for row in matrix]
