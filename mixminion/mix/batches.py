"""What the network process and a worker say to each other.

Over their socketpair go short chunks, ``length 4 | octets``, big-endian; packets and what
comes of them stand in shared memory (:mod:`mixminion.mix.slots`).  A request is
``op 1 | batch 4 | ...``, its answer ``op 1 | batch 4 | ...`` with the same batch number:

- ``HELLO``, a worker's first request: the passphrase of the packet keys, empty when they have
  none.  It locks its memory before it reads a key, and answers how well it is protected
  (:mod:`mixminion.mix.protection`).
- ``UNWRAP``: ``area 1 | packets 1 | period 8 *``.  The area's first slots hold the packets; the
  key periods are tried in that order.  Answered by ``kind 1 | period 8 | delay_ms 4 | tag 16 |
  length 4`` for each packet, in order, and *length* octets in its slot:

  ==========  ====================================================================
  relay       next node id 32, packet
  deliver     body
  reply       SURB id 16, length 1 and exit name, length 2 and address, payload
  drop        the reason, ASCII
  ==========  ====================================================================
- ``MAKE``: ``period 8 | begun 1 | suite code 1 | hops 1 | commands 2 | packet 4 *``.  Pairs that
  are missing are made, for that geometry; a pair of another suite is replaced, unless its period
  has begun.  Answered by ``period 8 | suite code 1 | length 2 | public key`` for each.
- ``KEEP``: ``period 8 *``.  The keys of all other periods are erased.  Answered empty.
- ``CHECK``, empty.  Every key's file is opened.  Answered empty.
- ``CHANGE``: a new passphrase, empty for none, for all keys.  Answered empty.
- ``FAILED`` is an answer only: the error's code, ASCII; a zero; a JSON object of its fields.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mixminion.errors import Fault
from mixminion.sphinx import suites
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.unwrap import Deliver, Relay, Reply

UNWRAP, MAKE, KEEP, HELLO, CHECK, CHANGE, FAILED = 1, 2, 3, 4, 5, 6, 9
RELAY, DELIVER, REPLY, DROP = 1, 2, 3, 4

LENGTH = struct.Struct(">I")
HEAD = struct.Struct(">BI")
AREA = struct.Struct(">BB")
ANSWER = struct.Struct(">BQI16sI")
PERIOD = struct.Struct(">Q")
WANTED = struct.Struct(">Q?BBHI")
MADE = struct.Struct(">QBH")
NAMES = struct.Struct(">BH")

NO_TAG = bytes(16)
NODE_ID = 32
SURB_ID = 16


class BrokenAnswer(Fault):
    """A worker's octets do not parse."""

    code = "worker-answer"
    sentence = "A worker process answered with something unreadable; it was replaced."


@dataclass(frozen=True, slots=True)
class Wanted:
    """A packet key that there has to be: of that key period, for packets of that geometry.

    Once a period has *begun* its key stays as it is, because packets were made for it.
    """

    period: int
    geometry: Geometry
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """The public packet key of a key period; *suite* is its name."""

    period: int
    suite: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Drop:
    """The worker dropped this packet; ``reason`` is a word of :class:`sphinx.errors.Reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a packet turned out to be, and the key period whose key opened it."""

    period: int
    result: Relay | Deliver | Reply


Answers: TypeAlias = list[Answer | Drop]


def chunk(op: int, batch: int, body: bytes) -> bytes:
    """A request or an answer."""
    return LENGTH.pack(HEAD.size + len(body)) + HEAD.pack(op, batch) + body


def encode_periods(periods: Sequence[int]) -> bytes:
    """The body of ``KEEP``, and the end of that of ``UNWRAP``."""
    return b"".join(PERIOD.pack(period) for period in periods)


def parse_periods(body: bytes) -> list[int]:
    """The periods of such a body."""
    return [period for (period,) in PERIOD.iter_unpack(body)]


def encode_failure(code: str, fields: Mapping[str, object]) -> bytes:
    """The body of ``FAILED``."""
    texts = {name: str(value) for name, value in fields.items()}
    return code.encode("ascii") + b"\0" + json.dumps(texts).encode("ascii")


def parse_failure(body: bytes) -> tuple[str, dict[str, str]]:
    """Code and fields of such a body.  Raises :class:`BrokenAnswer`."""
    code, _, octets = body.partition(b"\0")
    try:
        fields = json.loads(octets)
        return code.decode("ascii"), {str(name): str(value) for name, value in fields.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise BrokenAnswer() from error


def parse_unwrap(body: bytes) -> tuple[int, int, list[int]]:
    """Area, number of packets and periods of such a body."""
    area, count = AREA.unpack_from(body)
    return area, count, parse_periods(body[AREA.size :])


def encode_answer(answer: Answer | Drop) -> tuple[bytes, tuple[bytes, ...]]:
    """The record of one answer, and the pieces that go into its slot."""
    if isinstance(answer, Drop):
        reason = answer.reason.encode("ascii")
        return ANSWER.pack(DROP, 0, 0, NO_TAG, len(reason)), (reason,)
    result = answer.result
    pieces: tuple[bytes, ...]
    if isinstance(result, Relay):
        kind, pieces = RELAY, (result.next, result.packet)
    elif isinstance(result, Deliver):
        kind, pieces = DELIVER, (result.body,)
    else:
        exit_name, address = result.exit.encode("utf-8"), result.address.encode("utf-8")
        names = NAMES.pack(len(exit_name), len(address)) + exit_name + address
        kind, pieces = REPLY, (result.surb_id, names, result.payload)
    length = sum(map(len, pieces))
    return ANSWER.pack(kind, answer.period, result.delay_ms, result.tag, length), pieces


def parse_answers(body: bytes, slot: Callable[[int, int], memoryview]) -> Answers:
    """The answers to ``UNWRAP``; *slot* gives so many octets of the slot of that number.

    Raises :class:`BrokenAnswer`.
    """
    try:
        return [
            _parse_one(kind, period, delay_ms, tag, slot(number, length))
            for number, (kind, period, delay_ms, tag, length) in enumerate(ANSWER.iter_unpack(body))
        ]
    except (struct.error, ValueError) as error:
        raise BrokenAnswer() from error


def _parse_one(
    kind: int, period: int, delay_ms: int, tag: bytes, octets: memoryview
) -> Answer | Drop:
    if kind == DROP:
        return Drop(str(octets, "ascii"))
    if kind == RELAY:
        if len(octets) < NODE_ID:
            raise ValueError(len(octets))
        return Answer(
            period, Relay(tag, bytes(octets[:NODE_ID]), delay_ms, bytes(octets[NODE_ID:]))
        )
    if kind == DELIVER:
        return Answer(period, Deliver(tag, delay_ms, bytes(octets)))
    if kind != REPLY:
        raise ValueError(kind)
    exit_length, address_length = NAMES.unpack_from(octets, SURB_ID)
    exit_at = SURB_ID + NAMES.size
    address_at = exit_at + exit_length
    payload_at = address_at + address_length
    if payload_at > len(octets):
        raise ValueError(payload_at)
    return Answer(
        period,
        Reply(
            tag,
            delay_ms,
            bytes(octets[:SURB_ID]),
            str(octets[exit_at:address_at], "utf-8"),
            str(octets[address_at:payload_at], "utf-8"),
            bytes(octets[payload_at:]),
        ),
    )


def encode_wanted(wanted: Iterable[Wanted]) -> bytes:
    """The body of ``MAKE``."""
    return b"".join(
        WANTED.pack(each.period, each.begun, g.suite.code, g.hops, g.commands, g.packet)
        for each in wanted
        for g in [each.geometry]
    )


def parse_wanted(body: bytes) -> list[Wanted]:
    """The keys that such a body wants."""
    return [
        Wanted(period, Geometry(suites.by_code(code), hops, commands, packet), begun)
        for period, begun, code, hops, commands, packet in WANTED.iter_unpack(body)
    ]


def encode_made(made: Iterable[Made]) -> bytes:
    """The answer to ``MAKE``."""
    return b"".join(
        MADE.pack(each.period, suites.by_name(each.suite).code, len(each.key)) + each.key
        for each in made
    )


def parse_made(body: bytes) -> list[Made]:
    """The public packet keys of such an answer.  Raises :class:`BrokenAnswer`."""
    made: list[Made] = []
    at = 0
    try:
        while at < len(body):
            period, code, length = MADE.unpack_from(body, at)
            at += MADE.size + length
            if at > len(body):
                raise BrokenAnswer()
            made.append(Made(period, suites.by_code(code).name, body[at - length : at]))
    except (struct.error, KeyError) as error:
        raise BrokenAnswer() from error
    return made
