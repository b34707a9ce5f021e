"""What the network process and its workers say to each other over their socketpair.

Both directions carry chunks, ``length 4 | octets``, big-endian.  A request is
``op 1 | batch 4 | ...``, its answer ``op 1 | batch 4 | ...`` with the same batch number:

- ``UNWRAP``: ``count 1 | period 4 * count | packets``, all of the network's packet length;
  the key periods are tried in that order.  Answered by one answer a packet, in order:
  ``kind 1 | period 4 | delay_ms 4 | length 4 | tag 16 | octets``.
- ``MAKE``: ``period 4 *``.  Pairs that are missing are made.  Answered by
  ``period 4 | length 2 | public key`` for each.
- ``KEEP``: ``period 4 *``.  The keys of all other periods are erased.  Answered empty.
- ``FAILED`` is an answer only: the error's code in ASCII.

Pure: octets in, values out.  Neither side trusts the other's lengths less than the
operating system's, but a worker that answers nonsense is ended like one that died.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mixminion.errors import Fault
from mixminion.sphinx.unwrap import Deliver, Relay, Reply

UNWRAP, MAKE, KEEP, FAILED = 1, 2, 3, 9
RELAY, DELIVER, REPLY, DROP = 1, 2, 3, 4

LENGTH = struct.Struct(">I")
HEAD = struct.Struct(">BI")
ANSWER = struct.Struct(">BIII16s")
PERIOD = struct.Struct(">I")
PUBLIC = struct.Struct(">IH")

NO_TAG = bytes(16)
NODE_ID = 32
SURB_ID = 16


class BrokenAnswer(Fault):
    """A worker's octets do not parse."""

    code = "worker-answer"
    sentence = "A worker process answered with something unreadable; it was replaced."


@dataclass(frozen=True, slots=True)
class Drop:
    """The worker dropped this packet; ``reason`` is a word of :class:`sphinx.errors.Reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a packet turned out to be, and the key period whose key opened it."""

    period: int
    result: Relay | Deliver | Reply


def unwrap_request(batch: int, periods: Sequence[int], packets: Sequence[bytes]) -> list[bytes]:
    """The chunk, in pieces to be written one after the other."""
    head = HEAD.pack(UNWRAP, batch) + bytes([len(periods)])
    head += b"".join(PERIOD.pack(period) for period in periods)
    length = len(head) + sum(map(len, packets))
    return [LENGTH.pack(length) + head, *packets]


def period_request(op: int, batch: int, periods: Sequence[int]) -> bytes:
    """A ``MAKE`` or ``KEEP`` chunk."""
    body = HEAD.pack(op, batch) + b"".join(PERIOD.pack(period) for period in periods)
    return LENGTH.pack(len(body)) + body


def parse_periods(octets: memoryview) -> list[int]:
    """The periods of a ``MAKE`` or ``KEEP`` request, after its head."""
    return [period for (period,) in PERIOD.iter_unpack(octets)]


def parse_unwrap(octets: memoryview, packet_length: int) -> tuple[list[int], list[bytes]]:
    """Periods and packets of an ``UNWRAP`` request, after its head."""
    count = octets[0]
    start = 1 + PERIOD.size * count
    periods = parse_periods(octets[1:start])
    packets = [
        bytes(octets[at : at + packet_length]) for at in range(start, len(octets), packet_length)
    ]
    return periods, packets


def encode_answer(answer: Answer | Drop) -> list[bytes]:
    """One answer, in pieces."""
    if isinstance(answer, Drop):
        reason = answer.reason.encode("ascii")
        return [ANSWER.pack(DROP, 0, 0, len(reason), NO_TAG), reason]
    result = answer.result
    if isinstance(result, Relay):
        kind, pieces = RELAY, [result.next, result.packet]
    elif isinstance(result, Deliver):
        kind, pieces = DELIVER, [result.body]
    else:
        exit_name, address = result.exit.encode("utf-8"), result.address.encode("utf-8")
        names = struct.pack(">BH", len(exit_name), len(address)) + exit_name + address
        kind, pieces = REPLY, [result.surb_id, names, result.payload]
    head = ANSWER.pack(kind, answer.period, result.delay_ms, sum(map(len, pieces)), result.tag)
    return [head, *pieces]


def answer_chunk(op: int, batch: int, pieces: Sequence[bytes]) -> bytes:
    """A whole answer chunk."""
    length = HEAD.size + sum(map(len, pieces))
    return b"".join([LENGTH.pack(length), HEAD.pack(op, batch), *pieces])


def parse_answers(octets: memoryview) -> Iterator[Answer | Drop]:
    """The answers of an ``UNWRAP`` request, after their head.

    Raises :class:`BrokenAnswer`.
    """
    at = 0
    try:
        while at < len(octets):
            kind, period, delay_ms, length, tag = ANSWER.unpack_from(octets, at)
            at += ANSWER.size
            body = octets[at : at + length]
            if len(body) != length:
                raise BrokenAnswer()
            at += length
            yield _parse_one(kind, period, delay_ms, tag, body)
    except (struct.error, UnicodeDecodeError) as error:
        raise BrokenAnswer() from error


def _parse_one(
    kind: int, period: int, delay_ms: int, tag: bytes, body: memoryview
) -> Answer | Drop:
    if kind == DROP:
        return Drop(str(body, "ascii"))
    if kind == RELAY:
        following = bytes(body[:NODE_ID])
        return Answer(period, Relay(tag, following, delay_ms, bytes(body[NODE_ID:])))
    if kind == DELIVER:
        return Answer(period, Deliver(tag, delay_ms, bytes(body)))
    if kind == REPLY:
        exit_length, address_length = struct.unpack_from(">BH", body, SURB_ID)
        at = SURB_ID + 3
        exit_name = str(body[at : at + exit_length], "utf-8")
        at += exit_length
        address = str(body[at : at + address_length], "utf-8")
        at += address_length
        surb_id, payload = bytes(body[:SURB_ID]), bytes(body[at:])
        return Answer(period, Reply(tag, delay_ms, surb_id, exit_name, address, payload))
    raise BrokenAnswer()


def parse_public(octets: memoryview) -> dict[int, bytes]:
    """The answer to ``MAKE``: public packet keys by period."""
    keys: dict[int, bytes] = {}
    at = 0
    while at < len(octets):
        period, length = PUBLIC.unpack_from(octets, at)
        at += PUBLIC.size
        keys[period] = bytes(octets[at : at + length])
        at += length
    return keys


def encode_public(keys: dict[int, bytes]) -> list[bytes]:
    """The answer to ``MAKE``, in pieces."""
    return [PUBLIC.pack(period, len(key)) + key for period, key in keys.items()]


class Chunks:
    """Cuts a stream into chunks: feed octets, get the chunks they complete."""

    __slots__ = ("_length", "_missing", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._missing = 0
        self._length = -1

    def feed(self, octets: bytes) -> list[memoryview]:
        """Chunks without their length, in order."""
        chunks: list[memoryview] = []
        self._pieces.append(octets)
        self._missing -= len(octets)
        while self._missing <= 0:
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            if self._length < 0:
                if len(data) < LENGTH.size:
                    self._pieces, self._missing = [data], LENGTH.size - len(data)
                    break
                (self._length,) = LENGTH.unpack_from(data)
            end = LENGTH.size + self._length
            if len(data) < end:
                self._pieces, self._missing = [data], end - len(data)
                break
            chunks.append(memoryview(data)[LENGTH.size : end])
            rest = data[end:]
            self._pieces, self._length = [rest], -1
            self._missing = LENGTH.size - len(rest)
        return chunks
