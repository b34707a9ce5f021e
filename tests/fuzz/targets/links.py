"""The link protocol, both ends: streams cut anywhere, with answers and orders between."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from random import Random

from mixminion.interfaces import Refusal
from mixminion.mmtp import receiving, sending
from mixminion.mmtp.errors import SessionError
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
                elif isinstance(action, receiving.Send):
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


TARGETS = [
    Target("mmtp-receiving", _receiving, longest=16 * (PACKET + 8)),
    Target("mmtp-sending", _sending, longest=512),
]
