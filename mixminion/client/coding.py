"""The coded message of one attempt at a message with a receipt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mixminion.client.receipt_rows import Pending
from mixminion.payload import deflate, fragments, receipt
from mixminion.payload.fragments import Coding, Whole


@dataclass(frozen=True, slots=True)
class Coded:
    """It, and how it is cut up."""

    whole: Whole
    copies: int
    octets: bytes

    @property
    def packets(self) -> int:
        """In all, with those for repair."""
        return fragments.number_of_packets(self.whole.size, self.whole.piece, self.copies)

    def blocks(self) -> Iterator[bytes]:
        """What each block of pieces holds of it."""
        for block in range(self.whole.blocks):
            at = self.whole.start(block)
            yield self.octets[at : at + self.whole.length(block)]


def coded(pending: Pending, blocks: Sequence[bytes], piece: int) -> Coded:
    """With these reply *blocks* for the receipt; deflated where that saves a packet.

    Of one piece no other is sent for repair, unless several copies were asked for: what is lost is
    sent again when the receipt does not come.
    """
    head, message = receipt.asking(blocks), pending.message
    plain = _coded(pending, Coding.RECEIPT, head + message, piece)
    size = deflate.deflated_size([message], len(message))
    if size is None:
        return plain
    shorter = Whole(pending.name, Coding.RECEIPT, len(head) + size, piece)
    if shorter.pieces >= plain.whole.pieces:
        return plain
    packed = b"".join(deflate.deflate([message], len(message)))
    return _coded(pending, Coding.DEFLATED_RECEIPT, head + packed, piece)


def _coded(pending: Pending, coding: Coding, octets: bytes, piece: int) -> Coded:
    whole = Whole(pending.name, coding, len(octets), piece, pending.attempt)
    alone = pending.copies == 1 and whole.pieces == 1
    return Coded(whole, 0 if alone else pending.copies, octets)
