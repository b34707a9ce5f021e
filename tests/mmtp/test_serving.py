"""The server's side of a mailbox's session as a machine: every input in every state."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from mixminion.crypto import sign
from mixminion.interfaces import Message
from mixminion.mmtp import errors
from mixminion.mmtp.actions import End, Send
from mixminion.mmtp.fetch_frames import (
    HEADER_LENGTH,
    Answer,
    Closing,
    Kind,
    Request,
    answer,
    parse_answer,
    request,
    to_sign,
)
from mixminion.mmtp.serving import Action, Find, Finish, ServingSession, State, Taken
from mixminion.testing.cases import SyncTestCase

LENGTH = HEADER_LENGTH + 10
MOST = 5
PRIVATE = bytes(range(32))
CAPABILITY = sign.public(PRIVATE)
BOUND = to_sign(b"i" * 32, b"x" * 32)


def opening(bound: bytes = BOUND, private: bytes = PRIVATE, sequence: int = 1) -> bytes:
    return request(
        Request.OPEN, sequence, capability=CAPABILITY, signature=sign.sign(private, bound)
    )


def message(content: bytes, handle: bytes | None = None) -> Message:
    return Message("box", ("x",), content, handle, "<a@b>", 7)


def frames(actions: Sequence[Action]) -> list[Answer]:
    sent = [action.octets for action in actions if isinstance(action, Send)]
    for octets in sent:
        assert len(octets) == LENGTH
    return [parse_answer(octets) for octets in sent]


class Case(SyncTestCase):
    def setUp(self) -> None:
        self.session = ServingSession(LENGTH, BOUND, MOST)

    def ask(self, sequence: int, taken: int = 0, kind: Request = Request.NEXT) -> list[Action]:
        return self.session.received(request(kind, sequence, taken))

    def assert_ended(self, actions: list[Action], why: Closing, kind: type | None) -> None:
        """The last two: a closing frame, and the end; after that no input does anything."""
        *_, send, end = actions
        [closing] = frames([send])
        self.assertEqual((closing.kind, closing.reason), (Kind.CLOSING, why))
        assert isinstance(end, End)
        self.assertIs(type(end.error) if end.error else None, kind)
        self.assertIs(self.session.state, State.CLOSED)
        for nothing in (
            self.session.received(opening() + b"x"),
            self.session.found(5, message(b"")),
            self.session.nothing(),
            self.session.finish(0),
            self.session.close(Closing.OVER),
        ):
            self.assertEqual(nothing, [])
        self.assertIsNone(self.session.lost())


class ProofTests(Case):
    def test_proved(self) -> None:
        """The owner is asked nothing further."""
        self.assertEqual(self.session.received(opening()), [Find(0)])
        self.assertEqual(self.session.capability, CAPABILITY)

    def test_not_proved(self) -> None:
        """Another key, another session, another server: one answer for all, and no mailbox is
        looked for."""
        for octets in (
            opening(private=bytes(32)),
            opening(to_sign(b"i" * 32, b"y" * 32)),
            opening(to_sign(b"j" * 32, b"x" * 32)),
            request(Request.OPEN, 1, capability=CAPABILITY),
        ):
            self.setUp()
            actions = self.session.received(octets)
            self.assertEqual(len(actions), 2)
            self.assert_ended(actions, Closing.NOT_PROVED, errors.NotProved)
            self.assertEqual(self.session.capability, b"")

    def test_not_opened(self) -> None:
        """Nothing goes before it, and nothing is opened twice."""
        for kind in (Request.NEXT, Request.DONE):
            self.setUp()
            self.assert_ended(self.ask(1, kind=kind), Closing.BROKEN, errors.BadFrame)
        self.setUp()
        self.session.received(opening())
        self.session.nothing()
        actions = self.session.received(opening(sequence=2))
        self.assert_ended(actions, Closing.BROKEN, errors.BadFrame)


class GivingTests(Case):
    def setUp(self) -> None:
        super().setUp()
        self.session.received(opening())

    def test_items(self) -> None:
        """One frame for each request, of one length, whatever is in it."""
        [first] = frames(self.session.found(5, message(b"hello", b"h" * 16)))
        self.assertEqual(
            first,
            Answer(Kind.PIECE, 1, item=5, length=5, date=7, handle=b"h" * 16, octets=b"hello"),
        )
        self.assertEqual(self.ask(2, taken=5), [Taken(5), Find(0)])
        [second] = frames(self.session.nothing())
        self.assertEqual(second, Answer(Kind.EMPTY, 2))
        self.assertEqual(self.ask(3, kind=Request.DONE), [Finish()])
        self.assert_ended(self.session.finish(4), Closing.DONE, None)
        self.assertEqual(self.session.given, {5})

    def test_held_after_the_end(self) -> None:
        """The last frame says how many items are left."""
        self.session.nothing()
        self.ask(2, kind=Request.DONE)
        [closing] = frames(self.session.finish(4))
        self.assertEqual((closing.sequence, closing.length), (1, 4))

    def test_pieces(self) -> None:
        """An item longer than a frame comes in pieces, and is acknowledged as a whole."""
        long = message(b"0123456789abcdef")
        [first] = frames(self.session.found(5, long))
        self.assertEqual((first.offset, first.length, first.octets), (0, 16, b"0123456789"))
        self.assertEqual(self.ask(2), [Find(5)])
        [second] = frames(self.session.found(5, long))
        self.assertEqual((second.offset, second.octets), (10, b"abcdef"))
        self.assertEqual(self.ask(3, taken=5), [Taken(5), Find(0)])

    def test_piece_is_gone(self) -> None:
        """What another session took away meanwhile makes room for the next."""
        self.session.found(5, message(bytes(16)))
        self.ask(2)
        [other] = frames(self.session.found(6, message(b"other")))
        self.assertEqual((other.item, other.offset, other.octets), (6, 0, b"other"))
        self.session.lost()
        self.setUp()
        self.session.found(5, message(bytes(16)))
        self.ask(2)
        self.session.nothing()
        self.assertEqual(self.ask(3), [Find(0)])

    def test_acknowledged_what_was_not_given(self) -> None:
        """Neither another item, nor part of one, nor one twice, nor an earlier one."""
        for content, taken in ((b"x", 6), (bytes(16), 5)):
            self.setUp()
            self.session.found(5, message(content))
            self.assert_ended(self.ask(2, taken=taken), Closing.BROKEN, errors.BadFrame)
        for taken_first in (5, 0):
            self.setUp()
            self.session.found(5, message(b"x"))
            self.ask(2, taken=taken_first)
            self.session.nothing()
            self.assert_ended(self.ask(3, taken=5), Closing.BROKEN, errors.BadFrame)

    def test_most(self) -> None:
        """So many frames, and no more."""
        for sequence in range(2, MOST + 1):
            self.session.nothing()
            self.assertEqual(self.ask(sequence), [Find(0)])
        self.session.nothing()
        self.assert_ended(self.ask(MOST + 1), Closing.OVER, None)

    def test_out_of_turn(self) -> None:
        """A request before the answer, or with another number, ends the session."""
        self.assert_ended(self.ask(1), Closing.BROKEN, errors.WindowExceeded)
        for sequence in (0, 1, 3, 2**32 - 1):
            self.setUp()
            self.session.nothing()
            self.assert_ended(self.ask(sequence), Closing.BROKEN, errors.OutOfSequence)

    def test_found_out_of_turn(self) -> None:
        """Nothing is given that was not asked for."""
        self.session.nothing()
        self.assertEqual(self.session.found(5, message(b"x")), [])
        self.assertEqual(self.session.nothing(), [])

    def test_closed(self) -> None:
        """The server may end it at any moment."""
        self.assert_ended(self.session.close(Closing.STOPPING), Closing.STOPPING, None)

    def test_lost(self) -> None:
        """A connection that ends in a frame was broken, any other ended."""
        self.session.nothing()
        self.session.received(b"\x02")
        self.assertIsInstance(self.session.lost(), errors.Truncated)
        self.setUp()
        self.assertIsNone(self.session.lost())


class ChunkTests(Case):
    def test_any_cut(self) -> None:
        """However the octets are cut, the same comes of them."""
        octets = opening() + request(Request.NEXT, 2) + request(Request.DONE, 3) + b"more"

        turns = {128, 256, 384}  # a client waits for its answer there

        @given(st.sets(st.integers(0, len(octets)), max_size=6))
        def check(cuts: set[int]) -> None:
            self.setUp()
            at, seen = 0, list[Action]()
            for end in sorted(cuts | turns):
                for action in self.session.received(octets[at:end]):
                    seen.append(action)
                    if isinstance(action, Find):
                        self.session.nothing()
                    elif isinstance(action, Finish):
                        seen += self.session.finish(0)
                at = end
            closing = answer(Answer(Kind.CLOSING, 2, Closing.DONE), LENGTH)
            self.assertEqual(seen, [Find(0), Find(0), Finish(), Send(closing), End(None)])

        check()

    def test_all_at_once(self) -> None:
        """More requests than answers in one piece are too many."""
        actions = self.session.received(opening() + request(Request.NEXT, 2))
        self.assertEqual(actions[0], Find(0))
        self.assert_ended(actions, Closing.BROKEN, errors.WindowExceeded)
