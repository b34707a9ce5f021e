"""The client's session as a machine: every input in every state, every chunking."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.interfaces import Refusal
from mixminion.mmtp import errors, frames
from mixminion.mmtp.frames import Closing, Kind
from mixminion.mmtp.sending import Accepted, Ended, Event, Received, Refused, SendingSession, State
from mixminion.testing.cases import SyncTestCase

LENGTH = 10
ACCEPTED = frames.answer(Kind.ACCEPTED, 0, 0, 3)


def received(*sequences: int, window: int = 3) -> bytes:
    return b"".join(frames.answer(Kind.RECEIVED, 0, s, window) for s in sequences)


class Case(SyncTestCase):
    def setUp(self) -> None:
        self.session = SendingSession(LENGTH)

    def open(self) -> None:
        self.assertEqual(self.session.received(ACCEPTED), [Accepted()])

    def send(self, *keys: int) -> None:
        for key in keys:
            self.session.send(key, bytes(LENGTH))

    def assert_broken(self, events: list[Event], kind: type) -> None:
        end = events[-1]
        assert isinstance(end, Ended)
        self.assertIsInstance(end.error, kind)
        self.assert_dead()

    def assert_dead(self) -> None:
        """In CLOSED octets do nothing, and there is no room."""
        self.assertIs(self.session.state, State.CLOSED)
        self.assertEqual(self.session.room, 0)
        self.assertEqual(self.session.received(received(1)), [])
        self.assertEqual(self.session.finish(), [])


class WaitingTests(Case):
    def test_no_room(self) -> None:
        """Before we are accepted nothing can be sent."""
        self.assertEqual(self.session.room, 0)
        with self.assertRaises(RuntimeError):
            self.session.pad()
        self.open()
        self.assertEqual(self.session.room, 3)

    def test_first_frame(self) -> None:
        """Only ``accepted``, as it should be, opens a session."""
        for octets in (
            received(1),
            frames.answer(Kind.REFUSED, 1, 1, 3),
            frames.answer(Kind.ACCEPTED, 1, 0, 3),
            frames.answer(Kind.ACCEPTED, 0, 1, 3),
            frames.answer(Kind.ACCEPTED, 0, 0, 0),
            b"HTTP/1.1 200 OK\r\n",
        ):
            self.session = SendingSession(LENGTH)
            events = self.session.received(octets)
            self.assert_broken(events, errors.SessionError)

    def test_closed_at_once(self) -> None:
        """A server that stops may say so first."""
        octets = frames.answer(Kind.CLOSING, Closing.STOPPING, 0, 3)
        self.assertEqual(self.session.received(octets), [Ended(None)])
        self.assert_dead()

    def test_finish(self) -> None:
        """A session that never opened ends at once."""
        self.assertEqual(self.session.finish(), [Ended(None)])
        self.assert_dead()

    def test_lost(self) -> None:
        """Nothing was sent, nothing comes back."""
        self.assertEqual(self.session.lost(), [])
        self.assert_dead()


class OpenTests(Case):
    def setUp(self) -> None:
        super().setUp()
        self.open()

    def test_octets(self) -> None:
        """Packets and padding share the numbers and are equally long."""
        packet = self.session.send(7, b"p" * LENGTH) + b"p" * LENGTH
        self.assertEqual(packet, bytes.fromhex("01000000 00000001") + b"p" * LENGTH)
        padding = self.session.pad()
        self.assertEqual(padding, bytes.fromhex("02000000 00000002") + bytes(LENGTH))
        self.assertEqual((self.session.room, self.session.unanswered), (1, 2))

    def test_wrong_length(self) -> None:
        """A packet of another length never leaves."""
        with self.assertRaises(ValueError):
            self.session.send(1, bytes(LENGTH - 1))
        self.assertEqual(self.session.room, 3)

    def test_answers(self) -> None:
        """Keys of one reading come together, padding has none, refusals have their reason."""
        self.send(11)
        self.session.pad()
        self.send(13)
        refused = frames.answer(Kind.REFUSED, Refusal.FULL, 3, 3)
        self.assertEqual(
            self.session.received(received(1, 2) + refused),
            [Received([11]), Refused(13, Refusal.FULL)],
        )
        self.assertEqual(self.session.lost(), [])

    def test_refused_padding(self) -> None:
        """Padding that is refused concerns nobody."""
        self.session.pad()
        self.assertEqual(self.session.received(frames.answer(Kind.REFUSED, 2, 1, 3)), [])

    def test_growing_window(self) -> None:
        """A window may grow with any answer, and never shrinks."""
        self.send(1, 2)
        self.session.received(received(1, window=10))
        self.assertEqual(self.session.room, 9)
        self.assert_broken(self.session.received(received(2, window=9)), errors.BadFrame)

    def test_broken(self) -> None:
        """Answers nobody waits for, out of order, or of unknown reason end it."""
        for octets, kind in (
            (received(2), errors.OutOfSequence),
            (received(1, 1), errors.OutOfSequence),
            (received(1, 2, 3), errors.OutOfSequence),
            (ACCEPTED, errors.BadFrame),
            (frames.answer(Kind.REFUSED, 0, 1, 3), errors.BadFrame),
            (frames.answer(Kind.REFUSED, 9, 1, 3), errors.BadFrame),
            (frames.answer(Kind.RECEIVED, 1, 1, 3), errors.BadFrame),
            (frames.answer(Kind.CLOSING, 9, 0, 3), errors.BadFrame),
            (frames.answer(Kind.CLOSING, 1, 1, 3), errors.OutOfSequence),
            (received(1)[:3] + b"\x07" + received(1)[4:], errors.WrongVersion),
        ):
            self.session = SendingSession(LENGTH)
            self.open()
            self.send(5, 6)
            self.assert_broken(self.session.received(octets), kind)

    def test_answers_before_a_break_count(self) -> None:
        """What was acknowledged before the server broke the rules is acknowledged."""
        self.send(5, 6)
        events = self.session.received(received(1) + received(1))
        self.assertEqual(events[0], Received([5]))
        self.assertEqual(self.session.lost(), [6])

    def test_closing(self) -> None:
        """The server's ordinary ends are no errors; ``broken`` is one; what was not answered
        comes back."""
        for why in Closing:
            self.session = SendingSession(LENGTH)
            self.open()
            self.send(5, 6)
            closing = frames.answer(Kind.CLOSING, why, 1, 3)
            first, last = self.session.received(received(1) + closing + b"junk after the end" * 2)
            self.assertEqual(first, Received([5]))
            assert isinstance(last, Ended)
            self.assertEqual(last.error is None, why is not Closing.BROKEN)
            self.assertEqual(self.session.lost(), [6])
            self.assert_dead()

    def test_lost(self) -> None:
        """Everything unanswered comes back in order, padding does not."""
        self.send(5)
        self.session.pad()
        self.send(3)
        self.assertEqual(self.session.lost(), [5, 3])
        self.assertEqual(self.session.lost(), [])

    @given(st.lists(st.integers(0, 100), max_size=10))
    @settings(max_examples=100, deadline=None)
    def test_every_chunking(self, cuts: list[int]) -> None:
        """The same keys in the same order however TLS cuts the answers."""
        session = SendingSession(LENGTH)
        octets = frames.answer(Kind.ACCEPTED, 0, 0, 5)
        session.received(octets)
        for key in range(5):
            session.send(key, bytes(LENGTH))
        octets = received(1, 2, 3, 4, 5, window=5)
        edges = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
        keys: list[int] = []
        for begin, end in pairwise(edges):
            for event in session.received(octets[begin:end]):
                assert isinstance(event, Received)
                keys += event.keys
        self.assertEqual(keys, [0, 1, 2, 3, 4])

    @given(st.binary(max_size=80))
    @settings(max_examples=300, deadline=None)
    def test_any_octets(self, octets: bytes) -> None:
        """Whatever comes, nothing is raised, and no key is lost or given back twice."""
        session = SendingSession(LENGTH)
        session.received(frames.answer(Kind.ACCEPTED, 0, 0, 5))
        for key in range(3):
            session.send(key, bytes(LENGTH))
        keys = []
        for event in session.received(octets) + session.received(octets):
            keys += event.keys if isinstance(event, Received) else []
            keys += [event.key] if isinstance(event, Refused) else []
        self.assertEqual(keys + session.lost(), [0, 1, 2])


class FinishingTests(Case):
    def setUp(self) -> None:
        super().setUp()
        self.open()

    def test_waits_for_answers(self) -> None:
        """After finish nothing can be sent, and the last answer ends it."""
        self.send(1, 2)
        self.assertEqual(self.session.finish(), [])
        self.assertEqual(self.session.finish(), [])
        self.assertEqual(self.session.room, 0)
        with self.assertRaises(RuntimeError):
            self.send(3)
        self.assertEqual(self.session.received(received(1)), [Received([1])])
        self.assertEqual(self.session.received(received(2)), [Received([2]), Ended(None)])
        self.assert_dead()

    def test_at_once(self) -> None:
        """With nothing unanswered it ends at once."""
        self.assertEqual(self.session.finish(), [Ended(None)])
        self.assert_dead()

    def test_closing(self) -> None:
        """The server may end it first."""
        self.send(1)
        self.session.finish()
        closing = frames.answer(Kind.CLOSING, Closing.OVER, 0, 3)
        self.assertEqual(self.session.received(closing), [Ended(None)])
        self.assertEqual(self.session.lost(), [1])
        self.assert_dead()
