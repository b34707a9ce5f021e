"""The server's session as a machine: every input in every state, every chunking."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.interfaces import Refusal
from mixminion.mmtp import errors, frames
from mixminion.mmtp.actions import End, Send
from mixminion.mmtp.frames import Closing, Kind
from mixminion.mmtp.receiving import Action, ReceivingSession, Refuse, State, Take
from mixminion.testing.cases import SyncTestCase

LENGTH = 10
WINDOW = 4


def frame(sequence: int, padding: bool = False) -> bytes:
    return frames.header(sequence, padding=padding) + bytes([sequence]) * LENGTH


def received(*sequences: int) -> Send:
    return Send(b"".join(frames.answer(Kind.RECEIVED, 0, s, WINDOW) for s in sequences))


def closing(why: Closing, last: int) -> Send:
    return Send(frames.answer(Kind.CLOSING, why, last, WINDOW))


class Case(SyncTestCase):
    def setUp(self) -> None:
        self.session = ReceivingSession(LENGTH, WINDOW)

    def assert_broken(self, actions: Sequence[Action], kind: type, last: int = 0) -> None:
        """The session ended with a ``broken`` closing frame and this error, and stays ended."""
        *_, send, end = actions
        self.assertEqual(send, closing(Closing.BROKEN, last))
        assert isinstance(end, End)
        self.assertIsInstance(end.error, kind)
        self.assert_dead()

    def assert_dead(self) -> None:
        """In CLOSED no input does anything."""
        self.assertIs(self.session.state, State.CLOSED)
        self.assertEqual(self.session.received(frame(1) + b"x"), [])
        self.assertEqual(self.session.answered(1, None), [])
        for why in Closing:
            self.assertEqual(self.session.drain(why), [])
        self.assertIsNone(self.session.lost())


class OpenTests(Case):
    def test_greeting(self) -> None:
        """The first octets say that we accept, and the window."""
        expected = bytes.fromhex("00 00 0002 00000000 00000004 00000000")
        self.assertEqual(self.session.greeting(), expected)

    def test_packets_and_padding(self) -> None:
        """Frames become work in their order; padding comes without its octets."""
        actions = self.session.received(frame(1) + frame(2, padding=True) + frame(3))
        self.assertEqual(
            actions, [Take(1, b"\x01" * LENGTH), Take(2, None), Take(3, b"\x03" * LENGTH)]
        )
        self.assertEqual(self.session.unanswered, 3)

    def test_answers_in_sequence(self) -> None:
        """An answer waits for the older ones; then they leave together."""
        self.session.received(frame(1) + frame(2) + frame(3))
        self.assertEqual(self.session.answered(3, None), [])
        self.assertEqual(self.session.answered(2, None), [])
        self.assertEqual(self.session.answered(1, None), [received(1, 2, 3)])
        self.assertEqual(self.session.unanswered, 0)

    def test_refused(self) -> None:
        """A refusal has its reason, padding's too."""
        self.session.received(frame(1, padding=True))
        (send,) = self.session.answered(1, Refusal.FULL)
        self.assertEqual(send, Send(frames.answer(Kind.REFUSED, Refusal.FULL, 1, WINDOW)))

    def test_window(self) -> None:
        """Four unanswered frames are allowed, five are not, and an answer makes room."""
        self.session.received(b"".join(frame(number) for number in range(1, 5)))
        self.session.answered(1, None)
        self.assertEqual(len(self.session.received(frame(5))), 1)
        self.assert_broken(self.session.received(frame(6)), errors.WindowExceeded, last=1)

    def test_sequence(self) -> None:
        """The first frame is 1 and each the next: repeated, skipped, wrapped are refused."""
        for numbers in ((0,), (2,), (1, 1), (1, 3), (1, 0xFFFFFFFF)):
            self.session = ReceivingSession(LENGTH, WINDOW)
            actions = self.session.received(
                b"".join(frames.header(number) + bytes(LENGTH) for number in numbers)
            )
            self.assertEqual(len(actions), len(numbers) + 1)
            self.assert_broken(actions, errors.OutOfSequence)

    def test_junk(self) -> None:
        """What is not a frame ends the session."""
        self.assert_broken(self.session.received(b"GET / HTTP/1.1\r\n\r\n"), errors.BadFrame)

    def test_lost(self) -> None:
        """Hanging up between frames is nobody's fault; within one it is."""
        self.session.received(frame(1))
        self.assertIsNone(self.session.lost())
        self.assert_dead()
        self.session = ReceivingSession(LENGTH, WINDOW)
        self.session.received(frame(1)[:-1])
        self.assertIsInstance(self.session.lost(), errors.Truncated)
        self.assert_dead()

    @given(st.lists(st.integers(0, 80), max_size=10))
    @settings(max_examples=100, deadline=None)
    def test_every_chunking(self, cuts: list[int]) -> None:
        """The same work comes out however TLS cuts the octets."""
        octets = frame(1) + frame(2, padding=True) + frame(3) + frame(4)
        whole = ReceivingSession(LENGTH, WINDOW).received(octets)
        session = ReceivingSession(LENGTH, WINDOW)
        edges = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
        pieces: list[Action] = []
        for begin, end in pairwise(edges):
            pieces += session.received(octets[begin:end])
        self.assertEqual(pieces, whole)

    @given(st.binary(max_size=60))
    @settings(max_examples=300, deadline=None)
    def test_any_octets(self, octets: bytes) -> None:
        """Whatever comes, nothing is raised."""
        session = ReceivingSession(LENGTH, WINDOW)
        session.received(octets)
        session.received(octets)
        session.lost()


class DrainingTests(Case):
    def test_nothing_waits(self) -> None:
        """With nothing to answer the session ends at once, in order."""
        actions = self.session.drain(Closing.IDLE)
        self.assertEqual(actions, [closing(Closing.IDLE, 0), End(None)])
        self.assert_dead()

    def test_answers_first(self) -> None:
        """What was taken is answered; what still comes is refused, in sequence."""
        self.session.received(frame(1))
        self.assertEqual(self.session.drain(Closing.STOPPING), [])
        self.assertEqual(self.session.drain(Closing.OVER), [])
        actions = self.session.received(frame(2) + frame(3, padding=True))
        self.assertEqual(actions, [Refuse(2, False), Refuse(3, True)])
        for sequence in (2, 3):
            self.assertEqual(self.session.answered(sequence, Refusal.STOPPING), [])
        send, last, end = self.session.answered(1, None)
        refused = [frames.answer(Kind.REFUSED, Refusal.STOPPING, s, WINDOW) for s in (2, 3)]
        self.assertEqual(send, Send(received(1).octets + b"".join(refused)))
        self.assertEqual([last, end], [closing(Closing.STOPPING, 3), End(None)])
        self.assert_dead()

    def test_broken(self) -> None:
        """The rules hold to the end."""
        self.session.received(frame(1))
        self.session.drain(Closing.OVER)
        self.assert_broken(self.session.received(frame(3)), errors.OutOfSequence)

    def test_lost(self) -> None:
        """A connection may end while it drains."""
        self.session.received(frame(1) + b"x")
        self.session.drain(Closing.OVER)
        self.assertIsInstance(self.session.lost(), errors.Truncated)
        self.assert_dead()
