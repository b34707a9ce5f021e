"""From a message that is too large for one packet to blocks, and from a block to fragments.

The message is looked at in slices: what is made of it is a block at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mixminion.interfaces import Random
from mixminion.payload import deflate, fragments, message
from mixminion.payload.fragments import ID, Coding, Fragment, Whole

_SLICE = 1 << 16


@dataclass(frozen=True, slots=True)
class Split:
    """How a message is cut up: ``packets`` in all, of which ``needed`` have to arrive."""

    whole: Whole
    copies: int
    _octets: tuple[bytes | memoryview, ...]
    _size: int

    @property
    def packets(self) -> int:
        """With all repair pieces and copies."""
        return fragments.number_of_packets(self.whole.size, self.whole.piece, self.copies)

    @property
    def needed(self) -> int:
        """Without them."""
        return self.whole.pieces

    def blocks(self) -> Iterator[bytes]:
        """The coded message, in order."""
        octets: Iterable[bytes | memoryview] = self._octets
        if self.whole.coding is Coding.DEFLATED:
            octets = deflate.deflate(self._octets, self._size)
        return _in_blocks(self.whole, octets)


def split(
    exit: str,
    recipients: Sequence[str],
    parts: Sequence[bytes],
    piece: int,
    copies: int,
    random: Random,
) -> Split:
    """Cut a message, whose content is *parts*, into pieces of *piece* octets, deflated where that
    saves a packet."""
    envelope = message.encode(exit, recipients, b"")
    return cut([envelope, *(memoryview(part) for part in parts)], piece, copies, random)


def cut(parts: Sequence[bytes | memoryview], piece: int, copies: int, random: Random) -> Split:
    """The same for octets of any kind."""
    octets = tuple(parts)
    size = sum(map(len, octets))
    id = random.octets(ID)
    plain = Split(Whole(id, Coding.PLAIN, size, piece), copies, octets, size)
    shorter = deflate.deflated_size(octets, size)
    if shorter is None:
        return plain
    deflated = Split(Whole(id, Coding.DEFLATED, shorter, piece), copies, octets, size)
    return deflated if deflated.packets < plain.packets else plain


def fragments_of(whole: Whole, block: int, octets: bytes, copies: int) -> Iterator[Fragment]:
    """What is sent of a block, one after the other."""
    return fragments.pieces(whole, block, octets, fragments.numbers(whole.data(block), copies))


def _in_blocks(whole: Whole, octets: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    held, block = bytearray(), 0
    for each in octets:
        for at in range(0, len(each), _SLICE):
            held += each[at : at + _SLICE]
            while block < whole.blocks and len(held) >= whole.length(block):
                yield bytes(held[: whole.length(block)])
                del held[: whole.length(block)]
                block += 1
