"""Messages in fragments, over a real store: put together once, whatever is lost or comes twice."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, ensureDeferred, fail

from mixminion.counters import Counters, Name
from mixminion.crypto.rng import SeededRandom, SystemRandom
from mixminion.exits import delivery
from mixminion.exits.assembly import SWEEP
from mixminion.exits.parts import DONE, PART, WHOLE
from mixminion.exits.section import FragmentsSection
from mixminion.interfaces import Accepted, Message, Outcome, OutcomeKind
from mixminion.payload import deflate, erasure, fragments, frame, message
from mixminion.payload.fragments import Coding, Fragment, Whole
from mixminion.store import InlineExecutor, Pooled, Step, Store
from mixminion.store.errors import StoreError
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.exits import kit

T = TypeVar("T")
PIECE = 300
BODY = 400
EXPIRY = 86_400.0


def text(n: int) -> bytes:
    """Octets that look like none others, and do not shrink."""
    return SeededRandom(b"text").octets(n)


def split(
    content: bytes,
    exit: str = "test",
    id: bytes = b"0123456789abcdef",
    coding: Coding = Coding.PLAIN,
    piece: int = PIECE,
    copies: int = 1,
    recipient: str = "bob@x.test",
) -> list[bytes]:
    """The contents of fragment frames, as a sender makes them."""
    octets = message.encode(exit, [recipient], content)
    coded = octets
    if coding is Coding.DEFLATED:
        coded = b"".join(deflate.deflate([octets], len(octets)))
    whole = Whole(id, coding, len(coded), piece)
    made = []
    for block in range(whole.blocks):
        k, at = whole.data(block), whole.start(block)
        held = coded[at : at + whole.length(block)].ljust(k * piece, b"\0")
        data = [held[n * piece : (n + 1) * piece] for n in range(k)]
        made += [
            Fragment(whole, block, n, data[n] if n < k else erasure.repair(data, n)).encode()
            for n in fragments.numbers(k, copies)
        ]
    return made


class AssemblyCase(SyncTestCase):
    """A delivery with one exit, ``test``, over a store on disk; the pool is the test's."""

    section = FragmentsSection(max_message=2**20, room=2**20, max_incomplete=3, expiry=EXPIRY)

    def setUp(self) -> None:
        self.clock = HeapClock()
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.random = SeededRandom(b"assembly")
        self.exit = kit.ScriptedExit()
        self.exits: dict[str, Any] = {"test": self.exit}
        self.counters = Counters()
        self.begin()
        self.addCleanup(self.end)

    def begin(self) -> None:
        """A start: the store is opened, what it holds is recalled and offered again."""
        self.store = Store.open(
            self.folder / "store",
            map_size=64 * 2**20,
            in_thread=InlineExecutor(self.clock),
            random=SystemRandom(),
            free_reserve=0,
        )
        self.delivery = delivery.Delivery(
            self.exits,
            self.store,
            self.clock,
            self.random,
            self.counters,
            "mix.test",
            self.section,
        )
        self.prepare()
        held = self.result(self.store.waiting()).pooled
        entries = [(each.id, each.destination, each.due_ms / 1000) for each in held]
        remembered = self.wait(ensureDeferred(self.delivery.recall(entries)))
        self.wait(ensureDeferred(self.delivery.start()))
        for record_id, destination, due in entries:
            if record_id not in remembered:
                self.delivery.offer(record_id, destination, due)
        self.clock.advance(1)

    def prepare(self) -> None:
        """What is done with a delivery before it recalls anything."""

    def end(self) -> None:
        self.wait(ensureDeferred(self.delivery.stop()))
        self.wait(self.store.close())

    def die(self) -> None:
        """The process is killed: nobody stops anything, the store's files are let go of."""
        self.wait(self.store.close())
        self.delivery._assembly.stop()

    def restart(self) -> None:
        self.die()
        self.begin()

    def result(self, deferred: Deferred[T]) -> T:
        self.clock.advance(0)
        return self.successResultOf(deferred)

    def wait(self, deferred: Deferred[T]) -> T:
        self.clock.run_until(lambda: deferred.called, at_most=100)
        return self.successResultOf(deferred)

    # -- sending

    def put(self, content: bytes) -> Accepted | str | int:
        """Accept and store a fragment, as the mix does; its record's id, or why it is dropped."""
        payload = frame.encode(frame.Kind.FRAGMENT, content, 2 * BODY, self.random)
        accepted = self.delivery.accept(payload, self.clock.seconds())
        if isinstance(accepted, str):
            return accepted
        incoming = self.result(self.store.take_in(b"packet"))
        now_ms = int(self.clock.seconds() * 1000)
        pooled = Pooled(accepted.destination, now_ms, accepted.record)
        [verdict] = self.result(self.store.unwrapped([Step(incoming, 1, os.urandom(16), pooled)]))
        assert isinstance(verdict, int)
        return verdict

    def send(self, contents: list[bytes]) -> list[str]:
        """Bring fragments all the way; the reasons of those that are dropped at once."""
        dropped = []
        for content in contents:
            verdict = self.put(content)
            if isinstance(verdict, int):
                self.delivery.offer(verdict, PART, self.clock.seconds())
                self.clock.advance(0.01)
            else:
                dropped.append(str(verdict))
        self.clock.advance(1)
        return dropped

    def stored(self) -> list[bytes]:
        """The destinations of everything that is stored."""
        return [each.destination for each in self.result(self.store.waiting()).pooled]


class JoiningTests(AssemblyCase):
    def test_arrives(self) -> None:
        """One message, all fragments: handed over once, with a Message-ID; only a mark is left."""
        content = text(20_000)
        self.send(split(content))
        [seen] = self.exit.seen
        self.assertEqual(seen.content, content)
        self.assertEqual(
            (seen.recipients, seen.exit, seen.surb_id), (("bob@x.test",), "test", None)
        )
        self.assertRegex(seen.message_id, r"^<[0-9a-f]{32}@mix\.test>$")
        self.assertLessEqual(abs(seen.date - self.clock.seconds()), 3)
        self.assertEqual(self.stored(), [DONE])
        self.assertEqual(self.counters[Name.ASSEMBLED], 1)
        self.assertEqual(self.counters[Name.DELIVERED], 1)

    def test_enough(self) -> None:
        """Any k fragments of each block do, in any order: here the last ones."""
        content = text(30_000)
        kept = [
            each
            for each in split(content)
            if (part := Fragment.parse(each)).index
            >= fragments.enough(part.whole.data(part.block)) - part.whole.data(part.block)
        ]
        self.random.shuffle(kept)
        whole = Fragment.parse(kept[0]).whole
        self.assertEqual((whole.blocks, len(kept)), (2, whole.pieces))
        self.send(kept[:-1])
        self.assertEqual((self.exit.seen, self.delivery.incomplete()), ([], 1))
        self.send(kept[-1:])
        self.assertEqual([each.content for each in self.exit.seen], [content])

    def test_deflated(self) -> None:
        """A compressed one is expanded as it is handed over."""
        content = b"".join(b"%d bottles\r\n" % n for n in range(4000))
        self.send(split(content, coding=Coding.DEFLATED))
        self.assertEqual([each.content for each in self.exit.seen], [content])

    def test_two_at_once(self) -> None:
        """Fragments of two messages, mixed, and of one id with two sizes, are never joined."""
        one, two = text(3000), text(3100)[::-1]
        mixed = split(one) + split(two, id=b"x" * 16) + split(two + one, piece=PIECE + 1)[:5]
        self.random.shuffle(mixed)
        self.send(mixed)
        found = {each.content for each in self.exit.seen}
        self.assertEqual(found, {one, two})

    def test_copies(self) -> None:
        """Copies of a small message are fragments of one piece: the first is handed over."""
        contents = split(b"hello", copies=3)
        self.assertEqual(len(contents), 9)
        dropped = self.send(contents)
        self.assertEqual([each.content for each in self.exit.seen], [b"hello"])
        self.assertEqual(dropped, ["fragment-late"] * 8)

    def test_surplus(self) -> None:
        """What comes twice, or after a block has enough, is dropped; also between accept and
        release, where it was not known yet."""
        contents = split(text(3000))
        first = self.put(contents[0])
        twice = self.put(contents[0])
        for record_id in (first, twice):
            assert isinstance(record_id, int)
            self.delivery.offer(record_id, PART, self.clock.seconds())
        self.clock.advance(1)
        self.assertEqual(self.counters[Name.FRAGMENTS_SURPLUS], 1)
        self.assertEqual(self.stored(), [PART])
        self.assertEqual(self.send(contents[:1]), ["fragment-surplus"])

    def test_bad_inside(self) -> None:
        """Fragments that make up no message, or too large a one, end there."""
        whole = Whole(bytes(16), Coding.PLAIN, 300, PIECE)
        self.send([Fragment(whole, 0, 0, bytes(PIECE)).encode()])
        self.assertEqual(self.counters["drop-bad-payload"], 1)
        bomb = split(b"x" * 30_000 * 30, id=b"b" * 16, coding=Coding.DEFLATED)
        self.send(bomb)
        self.assertEqual(self.exit.seen, [])
        self.assertEqual(set(self.stored()), {DONE})

    def test_dropped_at_once(self) -> None:
        """No fragment, or of a message that is larger than any that is taken."""
        large = Whole(bytes(16), Coding.PLAIN, 2 * 2**20, PIECE)
        wrong = [b"", bytes(300), Fragment(large, 0, 0, bytes(PIECE)).encode()]
        self.assertEqual(self.send(wrong), ["bad-payload", "bad-payload", "too-large"])

    def test_refused_by_the_exit(self) -> None:
        """What the exit would not take is a permanent failure, and is gone."""
        self.exit.refusal = "too-large"
        self.send(split(text(3000)))
        self.assertEqual(self.counters[Name.FAILED], 1)
        self.assertEqual((self.exit.seen, self.stored()), ([], [DONE]))

    def test_unknown_exit(self) -> None:
        """A message for an exit that is not there waits as any other, and then goes."""
        self.send(split(text(3000), exit="other"))
        self.assertEqual(self.stored().count(WHOLE), 1)
        self.clock.advance(delivery.ORPHAN_EXPIRY)
        self.restart()
        self.assertEqual(set(self.stored()), {DONE})


class LimitTests(AssemblyCase):
    def test_number(self) -> None:
        """More incomplete messages than may be: fragments of another one are dropped, those of
        the others are not."""
        for n in range(3):
            self.send(split(text(3000), id=bytes((n,)) * 16)[:5])
        self.assertEqual(self.send(split(text(3000))[:2]), ["fragments-full"] * 2)
        self.send(split(text(3000), id=b"\1" * 16))
        self.assertEqual(len(self.exit.seen), 1)

    def test_room(self) -> None:
        """Incomplete messages take so much of the store and no more."""
        self.section = FragmentsSection(room=2**20, expiry=EXPIRY)
        self.restart()
        whole = Whole(bytes(16), Coding.PLAIN, 2**20, PIECE)
        part = bytes(PIECE)
        wanted = [
            Fragment(whole, block, n, part).encode()
            for block in range(whole.blocks)
            for n in range(whole.data(block))
        ]
        self.delivery._assembly._octets = 2**20 - 3 * (PIECE + 25)
        self.assertEqual(self.send(wanted[:5]), ["fragments-full"] * 2)

    def test_room_at_release(self) -> None:
        """Those that were on their way when it became full are dropped there."""
        ids = [self.put(split(text(3000), id=bytes((n,)) * 16)[0]) for n in range(5)]
        for record_id in ids:
            assert isinstance(record_id, int)
            self.delivery.offer(record_id, PART, self.clock.seconds())
        self.clock.advance(1)
        self.assertEqual(self.counters[Name.FRAGMENTS_FULL], 2)
        self.assertEqual(self.stored(), [PART] * 3)

    def test_expiry(self) -> None:
        """An incomplete message is deleted after its time, and its room is free again."""
        self.send(split(text(3000))[:4])
        self.clock.advance(EXPIRY + 2 * SWEEP)
        self.assertEqual(self.counters[Name.FRAGMENTS_EXPIRED], 4)
        self.assertEqual((self.stored(), self.delivery.incomplete()), ([], 0))
        self.assertEqual(self.delivery._assembly._octets, 0)

    def test_expiry_over_a_restart(self) -> None:
        """A restart does not begin the time anew."""
        self.send(split(text(3000))[:4])
        self.clock.advance(EXPIRY / 2)
        self.restart()
        self.clock.advance(EXPIRY / 2 + 2 * SWEEP)
        self.assertEqual(self.stored(), [])

    def test_marks_expire(self) -> None:
        """What was handed over is remembered for as long as an incomplete message waits."""
        contents = split(b"hello", copies=2)
        self.send(contents[:1])
        self.clock.advance(EXPIRY - 2 * SWEEP)
        self.restart()
        self.assertEqual(self.send(contents[1:2]), ["fragment-late"])
        self.clock.advance(4 * SWEEP)
        self.assertEqual(self.stored(), [])


class CrashTests(AssemblyCase):
    def test_killed_anywhere(self) -> None:
        """Killed after each fragment, and while it is handed over: arrives once it is complete,
        the same each time."""
        content = text(4000)
        self.exit.act = lambda message: Outcome(OutcomeKind.TEMPORARY, "smtp-450")
        for each in split(content):
            self.send([each])
            self.restart()
        self.exit.act = lambda message: kit.DELIVERED
        self.clock.advance(200)
        self.assertEqual({each.content for each in self.exit.seen}, {content})
        self.assertEqual(len({(each.message_id, each.date) for each in self.exit.seen}), 1)
        self.assertEqual(self.counters[Name.ASSEMBLED], 1)
        self.assertEqual(self.counters[Name.DELIVERED], 1)
        self.restart()
        self.clock.advance(200)
        self.assertEqual(self.counters[Name.DELIVERED], 1)
        self.assertEqual(self.stored(), [DONE])

    def test_killed_while_parts_are_erased(self) -> None:
        """The mark is there, parts are left over: they go, and nothing is handed over again."""
        self.patch(self.store, "delete", lambda ids: Deferred())
        self.send(split(text(3000)))
        self.assertEqual(len(self.exit.seen), 1)
        self.assertEqual(self.stored().count(DONE), 1)
        self.assertGreater(self.stored().count(PART), 5)
        self.restart()
        self.assertEqual((len(self.exit.seen), self.stored()), (1, [DONE]))

    def test_store_fails(self) -> None:
        """A disk that is full at the last fragment: tried again, nothing is lost."""
        exchange = self.store.exchange
        self.patch(self.store, "exchange", lambda added, removed: fail(StoreError(problem="x")))
        self.send(split(text(3000)))
        self.assertEqual(self.exit.seen, [])
        self.patch(self.store, "exchange", exchange)
        self.clock.advance(SWEEP + 1)
        self.assertEqual(len(self.exit.seen), 1)

    def test_lost_part(self) -> None:
        """A part that the disk has lost after all were there: a failure that is counted."""
        self.exit.act = lambda message: Outcome(OutcomeKind.TEMPORARY, "smtp-450")
        self.send(split(text(3000)))
        parts = [
            each.id for each in self.result(self.store.waiting()).pooled if each.destination == PART
        ]
        self.wait(self.store.delete(parts[3:4]))
        self.clock.advance(200)
        self.assertEqual(self.counters[Name.FAILED], 1)
        self.assertEqual(self.stored(), [DONE])


class LaneTests(AssemblyCase):
    def test_one_at_a_time(self) -> None:
        """Of large messages one is in memory at a time for each exit; small ones pass them."""
        ends: list[Deferred[Outcome]] = []

        def act(message: Message) -> Any:
            if len(message.content) < 100:
                return kit.DELIVERED
            ends.append(Deferred())
            return ends[-1]

        self.exit.act = act
        for n in range(2):
            self.send(split(text(3000), id=bytes((n,)) * 16))
        small = message.encode("test", [], b"small")
        accepted = self.delivery.accept(
            frame.encode(frame.Kind.MESSAGE, small, BODY, self.random), 0.0
        )
        assert isinstance(accepted, Accepted)
        [record_id] = self.wait(
            self.store.exchange([Pooled(accepted.destination, 0, accepted.record)], [])
        )
        self.delivery.offer(record_id, accepted.destination, self.clock.seconds())
        self.clock.advance(1)
        self.assertEqual((len(ends), self.counters[Name.DELIVERED]), (1, 1))
        self.assertEqual(self.delivery.waiting(), {"test": 2})
        ends[0].callback(kit.DELIVERED)
        self.clock.advance(1)
        ends[1].callback(kit.DELIVERED)
        self.clock.advance(1)
        self.assertEqual(self.counters[Name.DELIVERED], 3)

    def test_exit_that_does_not_start(self) -> None:
        """Nothing is handed to an exit before it has started."""
        self.patch(self.exit, "start", lambda: fail(ValueError("x")))
        self.restart()
        self.send(split(text(3000)))
        self.assertEqual((self.exit.seen, self.delivery.waiting()), ([], {"test": 1}))
        self.patch(self.exit, "start", lambda: ensureDeferred(_nothing()))
        self.clock.advance(1000)
        self.assertEqual(len(self.exit.seen), 1)


async def _nothing() -> None:
    pass
