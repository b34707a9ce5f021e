"""The client's side of a mailbox's session as a machine, by itself and with the server's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mixminion.crypto import sign
from mixminion.interfaces import Message
from mixminion.mmtp import errors
from mixminion.mmtp.actions import End, Send
from mixminion.mmtp.asking import LONGEST, Answered, AskingSession, Ended, Event, Item, State
from mixminion.mmtp.fetch_frames import (
    HEADER_LENGTH,
    Answer,
    Closing,
    Kind,
    Request,
    answer,
    parse_request,
)
from mixminion.mmtp.serving import Find, Finish, ServingSession, Taken
from mixminion.testing.cases import SyncTestCase
from tests.mmtp.test_serving import BOUND, CAPABILITY, LENGTH, PRIVATE

FRAMES = 3
ROOM = LENGTH - HEADER_LENGTH


class Case(SyncTestCase):
    def setUp(self) -> None:
        self.session = AskingSession(LENGTH, FRAMES)
        self.session.open(CAPABILITY, bytes(64))

    def get(self, frame: Answer) -> list[Event]:
        return self.session.received(answer(frame, LENGTH))

    def piece(self, sequence: int, octets: bytes, length: int, offset: int = 0) -> list[Event]:
        return self.get(
            Answer(Kind.PIECE, sequence, item=5, length=length, offset=offset, octets=octets)
        )

    def empty(self, sequence: int) -> list[Event]:
        return self.get(Answer(Kind.EMPTY, sequence))

    def closing(self, sequence: int, why: Closing, held: int = 0) -> list[Event]:
        return self.get(Answer(Kind.CLOSING, sequence, why, length=held))

    def assert_broken(self, events: list[Event], kind: type) -> None:
        [ended] = events
        assert isinstance(ended, Ended)
        self.assertIsInstance(ended.error, kind)
        self.assertIs(self.session.state, State.CLOSED)
        self.assertEqual(self.empty(1), [])


class AskingTests(Case):
    def test_frames(self) -> None:
        """So many frames are asked for, then the end; what is safe is said with the next."""
        self.assertEqual(self.piece(1, b"x", 1), [Answered(Item(5, None, 0, b"x"))])
        asked = parse_request(self.session.ask(5))
        self.assertEqual((asked.kind, asked.sequence, asked.taken), (Request.NEXT, 2, 5))
        self.assertEqual(self.empty(2), [Answered(None)])
        self.session.ask()
        self.assertEqual(self.piece(3, b"y", 1), [Answered(Item(5, None, 0, b"y"))])
        asked = parse_request(self.session.ask(5))
        self.assertEqual((asked.kind, asked.sequence, asked.taken), (Request.DONE, 4, 5))
        self.assertEqual(self.closing(3, Closing.DONE, 9), [Ended(None, 9)])

    def test_pieces(self) -> None:
        """A long item is whole with its last piece."""
        content = bytes(range(ROOM + 2))
        self.assertEqual(self.piece(1, content[:ROOM], ROOM + 2), [Answered(None)])
        self.session.ask()
        item = Item(5, None, 0, content)
        self.assertEqual(self.piece(2, content[ROOM:], ROOM + 2, ROOM), [Answered(item)])

    def test_given_up(self) -> None:
        """What began and does not go on is forgotten."""
        self.piece(1, bytes(ROOM), ROOM + 2)
        self.session.ask()
        self.assertEqual(self.piece(2, b"x", 1), [Answered(Item(5, None, 0, b"x"))])
        self.setUp()
        self.piece(1, bytes(ROOM), ROOM + 2)
        self.session.ask()
        self.empty(2)
        self.session.ask()
        self.assert_broken(self.piece(3, b"xy", ROOM + 2, ROOM), errors.BadFrame)

    def test_not_the_rest(self) -> None:
        """A piece goes on where the one before ended, of the same item."""
        self.assert_broken(self.piece(1, b"x", 2, 1), errors.BadFrame)
        good = Answer(Kind.PIECE, 2, item=5, length=ROOM + 2, offset=ROOM, octets=b"xy")
        for field, value in (
            ("item", 6),
            ("length", ROOM + 3),
            ("date", 1),
            ("handle", bytes(16)),
            ("offset", ROOM + 1),
        ):
            self.setUp()
            self.piece(1, bytes(ROOM), ROOM + 2)
            self.session.ask()
            values = {name: getattr(good, name) for name in Answer.__slots__} | {field: value}
            self.assert_broken(self.get(Answer(**values)), errors.BadFrame)

    def test_too_long(self) -> None:
        """An item that would fill the memory is none."""
        self.assert_broken(self.piece(1, bytes(ROOM), LONGEST + 1), errors.BadFrame)

    def test_out_of_turn(self) -> None:
        """Frames that were not asked for, or have another number."""
        self.assert_broken(self.empty(2), errors.OutOfSequence)
        self.setUp()
        self.empty(1)
        self.assert_broken(self.empty(2), errors.OutOfSequence)
        self.setUp()
        self.assert_broken(self.closing(1, Closing.IDLE), errors.OutOfSequence)
        self.setUp()
        self.assert_broken(self.closing(0, Closing.DONE), errors.BadFrame)

    def test_ends(self) -> None:
        """Each end that was not asked for says why."""
        for why in Closing:
            if why is not Closing.DONE:
                self.setUp()
                kind = errors.NotProved if why is Closing.NOT_PROVED else errors.ClosedByPeer
                self.assert_broken(self.closing(0, why), kind)

    def test_after_the_end(self) -> None:
        """What follows a closing frame is nothing."""
        octets = answer(Answer(Kind.CLOSING, 0, Closing.IDLE), LENGTH)
        self.assertEqual(len(self.session.received(octets + octets + b"x")), 1)

    def test_caller(self) -> None:
        """It is the caller's to wait."""
        self.assertRaises(RuntimeError, self.session.ask)
        self.assertRaises(RuntimeError, self.session.open, CAPABILITY, bytes(64))
        self.session.lost()
        self.assertRaises(RuntimeError, self.session.ask)


class BothTests(SyncTestCase):
    """The two machines, and a mailbox that is a dictionary."""

    def test_all_is_fetched(self) -> None:
        """Whatever is held arrives whole, once, in order, and is gone where it was acknowledged;
        the number of frames is what was asked for."""

        @given(st.lists(st.binary(max_size=3 * ROOM), max_size=5), st.integers(1, 20), st.data())
        def check(contents: list[bytes], frames: int, data: st.DataObject) -> None:
            held = {
                id: Message("box", ("x",), content, None, "<a@b>", id)
                for id, content in enumerate(contents, 1)
            }
            expected = dict(held)
            server = ServingSession(LENGTH, BOUND, 100)
            client = AskingSession(LENGTH, frames)
            safe: dict[int, bytes] = {}
            octets = client.open(CAPABILITY, sign.sign(PRIVATE, BOUND))
            back, over = 0, False
            while not over:
                answers = b""
                actions = server.received(octets)
                while actions:
                    action = actions.pop(0)
                    if isinstance(action, Find):
                        left = [id for id in held if id not in server.given or id == action.item]
                        if left:
                            actions += server.found(left[0], held[left[0]])
                        else:
                            actions += server.nothing()
                    elif isinstance(action, Taken):
                        del held[action.item]
                    elif isinstance(action, Finish):
                        actions += server.finish(len(held))
                    elif isinstance(action, Send):
                        answers += action.octets
                    else:
                        self.assertEqual(action, End(None))
                back += len(answers) // LENGTH
                for event in client.received(answers):
                    if isinstance(event, Ended):
                        self.assertEqual(event, Ended(None, len(held)))
                        over = True
                        continue
                    taken = 0
                    if event.item is not None and data.draw(st.booleans()):
                        taken = event.item.id
                        safe[taken] = event.item.content
                    octets = client.ask(taken)
            self.assertEqual(back, frames + 1)
            self.assertEqual(list(safe), sorted(safe))
            for id, message in expected.items():
                self.assertEqual(safe.get(id), None if id in held else message.content)

        check()
