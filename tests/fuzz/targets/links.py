"""The link protocol, both ends: streams cut anywhere, with answers and orders between."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from random import Random

from mixminion.crypto import sign
from mixminion.interfaces import Message, Refusal
from mixminion.mmtp import asking, fetch_frames, receiving, sending, serving
from mixminion.mmtp.actions import Send
from mixminion.mmtp.errors import SessionError
from mixminion.mmtp.fetch_frames import Request
from mixminion.mmtp.frames import Closing, Kind, answer, header
from tests.fuzz.driver import Subject, Target

PACKET = 24
WINDOW = 4


def cut(octets: bytes, random: Random, pieces: int = 6) -> Iterator[bytes]:
    """*octets* in pieces, the same for the same octets and generator."""
    at = 0
    for _ in range(random.randrange(pieces)):
        end = random.randint(at, len(octets))
        yield octets[at:end]
        at = end
    yield octets[at:]


def chance(octets: bytes) -> Random:
    """A generator that an input decides."""
    return Random(zlib.crc32(octets))


def _receiving() -> Subject:
    frames = [header(i, padding=i % 3 == 0) + bytes((i,)) * PACKET for i in range(1, 9)]
    corpus = [b"".join(frames[:4]), b"".join(frames), frames[0], frames[0] + frames[1][:11]]

    def run(octets: bytes) -> object:
        random = chance(octets)
        session = receiving.ReceivingSession(PACKET, WINDOW)
        waiting: list[int] = []
        ended: object = None
        taken = answered = 0

        def act(actions: list[receiving.Action]) -> None:
            nonlocal ended, taken, answered
            for action in actions:
                assert ended is None
                if isinstance(action, receiving.Take):
                    taken += 1
                    assert action.sequence == taken
                    assert action.packet is None or len(action.packet) == PACKET
                    waiting.append(action.sequence)
                elif isinstance(action, receiving.Refuse):
                    taken += 1
                    waiting.append(action.sequence)
                elif isinstance(action, Send):
                    answered += len(action.octets) // 16
                    assert len(action.octets) % 16 == 0
                else:
                    assert action.error is None or isinstance(action.error, SessionError)
                    ended = action.error or True

        for piece in cut(octets, random):
            act(session.received(piece))
            assert session.unanswered <= WINDOW
            while waiting and random.random() < 0.7:
                refusal = random.choice((None, None, *Refusal))
                act(session.answered(waiting.pop(random.randrange(len(waiting))), refusal))
            if random.random() < 0.05:
                act(session.drain(random.choice(list(Closing))))
        assert answered <= taken + 1
        lost = session.lost()
        assert session.received(octets) == []
        return type(ended), type(lost), min(taken, 8)

    return Subject(run, corpus)


def _sending() -> Subject:
    accepted = answer(Kind.ACCEPTED, 0, 0, WINDOW)
    received = [answer(Kind.RECEIVED, 0, i, WINDOW) for i in range(1, 7)]
    refused = answer(Kind.REFUSED, Refusal.RATE, 1, WINDOW)
    closing = [answer(Kind.CLOSING, reason, 0, WINDOW) for reason in Closing]
    corpus = [
        accepted + b"".join(received),
        accepted + refused + b"".join(received[1:3]),
        accepted + b"".join(received[:2]) + answer(Kind.CLOSING, 1, 2, WINDOW),
        *(accepted + each for each in closing),
        accepted + answer(Kind.RECEIVED, 0, 1, 2**32 - 1) + received[1],
    ]

    def run(octets: bytes) -> object:
        random = chance(octets)
        session = sending.SendingSession(PACKET)
        sent: list[int] = []
        over = False
        ended: object = None

        def note(events: list[sending.Event]) -> None:
            nonlocal over, ended
            for event in events:
                assert not over
                if isinstance(event, sending.Received):
                    for key in event.keys:
                        sent.remove(key)
                elif isinstance(event, sending.Refused):
                    sent.remove(event.key)
                elif isinstance(event, sending.Ended):
                    over, ended = True, event.error

        for number, piece in enumerate(cut(octets, random)):
            note(session.received(piece))
            for key in range(10 * number, 10 * number + random.randrange(5)):
                if session.room > 0:
                    if random.random() < 0.7:
                        session.send(key, bytes(PACKET))
                        sent.append(key)
                    else:
                        assert len(session.pad()) == PACKET + 8
            if random.random() < 0.03:
                note(session.finish())
        assert sorted(session.lost()) == sorted(sent)
        assert session.received(octets) == []
        return over, type(ended), session.unanswered

    return Subject(run, corpus)


FETCHED = fetch_frames.HEADER_LENGTH + PACKET
_PRIVATE = bytes(range(32))
_BOUND = fetch_frames.to_sign(b"i" * 32, b"x" * 32)


def _serving() -> Subject:
    opening = fetch_frames.request(
        Request.OPEN, 1, capability=sign.public(_PRIVATE), signature=sign.sign(_PRIVATE, _BOUND)
    )
    asked = [fetch_frames.request(Request.NEXT, i, i - 1) for i in range(2, 6)]
    done = fetch_frames.request(Request.DONE, 3, 2)
    corpus = [opening, opening + b"".join(asked), opening + asked[0] + done, opening + asked[0][:9]]

    def run(octets: bytes) -> object:
        random = chance(octets)
        session = serving.ServingSession(FETCHED, _BOUND, 4)
        ended: object = None
        given: dict[int, bool] = {}  # items, and whether they are whole
        frames = taken = 0

        def act(actions: list[serving.Action]) -> None:
            nonlocal ended, frames, taken
            for action in actions:
                assert ended is None
                if isinstance(action, serving.Find):
                    assert session.capability == sign.public(_PRIVATE)
                    find(action.item)
                elif isinstance(action, serving.Taken):
                    assert given.pop(action.item)
                    taken += 1
                elif isinstance(action, Send):
                    assert len(action.octets) == FETCHED
                    assert fetch_frames.parse_answer(action.octets)
                    frames += 1
                elif isinstance(action, serving.Finish):
                    act(session.finish(random.randrange(9)))
                else:
                    assert action.error is None or isinstance(action.error, SessionError)
                    ended = action.error or True

        def find(part: int) -> None:
            item = part or frames + 1
            content = bytes(item * PACKET // 2 - 1)
            if random.random() < 0.2:
                act(session.nothing())
            else:
                given[item] = part != 0 or len(content) <= PACKET
                act(session.found(item, Message("m", ("x",), content, None, "<a@b>", 0)))

        for start in range(0, len(octets), fetch_frames.REQUEST_LENGTH):
            for piece in cut(octets[start : start + fetch_frames.REQUEST_LENGTH], random, 3):
                act(session.received(piece))
            if random.random() < 0.05:
                act(session.close(random.choice(list(fetch_frames.Closing))))
        assert frames <= 5
        lost = session.lost()
        assert session.received(octets) == []
        return type(ended), type(lost), frames, taken

    return Subject(run, corpus)


def _asking() -> Subject:
    def piece(sequence: int, length: int, offset: int, handle: bytes | None) -> bytes:
        octets = bytes(min(PACKET, length - offset))
        frame = fetch_frames.Answer(
            fetch_frames.Kind.PIECE,
            sequence,
            item=5,
            length=length,
            offset=offset,
            handle=handle,
            octets=octets,
        )
        return fetch_frames.answer(frame, FETCHED)

    def other(kind: fetch_frames.Kind, sequence: int, reason: int = 0) -> bytes:
        return fetch_frames.answer(fetch_frames.Answer(kind, sequence, reason), FETCHED)

    empty = [other(fetch_frames.Kind.EMPTY, i) for i in range(1, 5)]
    closing = [other(fetch_frames.Kind.CLOSING, 4, why) for why in fetch_frames.Closing]
    corpus = [
        b"".join(empty) + closing[0],
        piece(1, 9, 0, None) + empty[1] + piece(3, 0, 0, b"h" * 16) + empty[3] + closing[0],
        b"".join(piece(i, 3 * PACKET + 1, (i - 1) * PACKET, None) for i in range(1, 5)),
        *(b"".join(empty) + each for each in closing[1:]),
    ]

    def run(octets: bytes) -> object:
        random = chance(octets)
        session = asking.AskingSession(FETCHED, 4)
        session.open(bytes(32), bytes(64))
        ended: asking.Ended | None = None
        items: list[int] = []
        answered = 0

        for start in range(0, len(octets), FETCHED):
            for part in cut(octets[start : start + FETCHED], random, 3):
                for event in session.received(part):
                    assert ended is None
                    if isinstance(event, asking.Ended):
                        ended = event
                        continue
                    answered += 1
                    if event.item is not None:
                        items.append(len(event.item.content))
                    session.ask(0 if event.item is None else event.item.id)
        assert answered <= 4 and sum(items) <= 4 * PACKET
        session.lost()
        assert session.received(octets) == []
        return None if ended is None else type(ended.error), answered, len(items)

    return Subject(run, corpus)


TARGETS = [
    Target("fetch-serving", _serving, longest=8 * fetch_frames.REQUEST_LENGTH),
    Target("fetch-asking", _asking, longest=6 * FETCHED),
    Target("mmtp-receiving", _receiving, longest=16 * (PACKET + 8)),
    Target("mmtp-sending", _sending, longest=512),
]
