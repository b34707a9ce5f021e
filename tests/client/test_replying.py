"""Answers to reply blocks on a virtual clock: which blocks are used, and when; what arrives."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from mixminion import api
from mixminion.client import blocks_text
from mixminion.client.errors import MessageTooLarge, PartlyHandedOver
from mixminion.client.reply_errors import (
    BlockOver,
    CrossesAtFirst,
    NoUsableBlock,
    TooFewBlocks,
)
from mixminion.crypto.rng import SeededRandom
from mixminion.interfaces import Refusal
from mixminion.payload import fragments, joined, reply
from mixminion.payload.fragments import Fragment
from mixminion.payload.frame import Frame, Kind
from tests.client.answers import Owner
from tests.client.network import DAY, VirtualCase

WEEK = 7 * DAY
PATH = "mix1, *2, mix5"


class ReplyingCase(VirtualCase):
    def setUp(self) -> None:
        super().setUp()
        self.random = SeededRandom(b"replying")
        self.owner = Owner(self.network, self.random)
        self.events: list[api.Event] = []
        self.addCleanup(lambda: self.ask(self.client.close()))

    @property
    def period(self) -> int:
        return self.owner.period

    def block(self, period: int | None = None, **options: Any) -> bytes:
        return self.owner.block(period, **options)

    def arrived(self) -> list[tuple[list[str], Frame]]:
        return self.owner.arrived()

    def reply(self, blocks: bytes | list[bytes], content: bytes, **options: Any) -> api.Sent:
        sending = self.client.reply(blocks, content, progress=self.events.append, **options)
        sent: api.Sent = self.ask(sending)
        return sent

    def fails(
        self, error: type[Exception], blocks: Any, content: bytes = b"x", **options: Any
    ) -> Any:
        return self.failureResultOf(
            self.settled(Deferred.fromCoroutine(self.client.reply(blocks, content, **options))),
            error,
        ).value

    def settled(self, deferred: Deferred[Any]) -> Deferred[Any]:
        self.clock.run_until(lambda: deferred.called, at_most=3600)
        return deferred

    def passed_over(self) -> list[api.BlockPassedOver]:
        return [each for each in self.events if isinstance(each, api.BlockPassedOver)]


class ReplyingTests(ReplyingCase):
    def test_reply(self) -> None:
        """An answer goes over a path of full length to a crossover, from there the block's way."""
        sent = self.reply([self.block()], b"an answer")
        [(path, inside)] = self.arrived()
        self.assertEqual(inside, Frame(Kind.REPLY, b"an answer"))
        self.assertEqual(tuple(path[:4]), sent.path)
        self.assertEqual(path[4:], ["mix2", "mix3"])
        self.assertEqual(len(set(path[:4])), 4)
        self.assertNotEqual(path[3], "mix2")
        self.assertEqual((sent.packets, self.ask(self.client.waiting())), (1, []))
        self.assertEqual(sent.delay, 8 * 240)
        self.assertIn(api.BlocksUsed(1, 0), self.events)

    def test_from_a_message(self) -> None:
        """The message that brought the block is enough."""
        text = "Hello,\n\nwrite back.\n\n" + blocks_text.encode([self.block()])
        self.reply(text.encode(), b"yes")
        [(_, inside)] = self.arrived()
        self.assertEqual(inside.content, b"yes")

    def test_mail(self) -> None:
        """With a subject the answer is a mail."""
        self.reply([self.block()], "Grüße".encode(), subject="Re: it")
        [(_, inside)] = self.arrived()
        self.assertIn(b"Subject: Re: it\r\n", inside.content)
        self.assertIn("Grüße".encode(), inside.content)

    def test_used_once(self) -> None:
        """A block is used once, whoever wrote it down again, and twice when one says so."""
        block = self.block()
        self.reply([block], b"one")
        error = self.fails(NoUsableBlock, [block[:12] + bytes(6) + block[18:]])
        self.assertIn("used before", error.fields["why"])
        other = self.block()
        self.reply([block, other], b"two")
        self.assertEqual(self.passed_over(), [api.BlockPassedOver(1, "it was used before")])
        self.reply([block], b"three", again=True)
        contents = sorted(inside.content for _, inside in self.arrived())
        self.assertEqual(contents, [b"one", b"three", b"two"])

    def test_passed_over(self) -> None:
        """Blocks of other times and networks are passed over, each with its reason."""
        good, other = self.block(), bytearray(self.block())
        other[2] ^= 1
        gone = bytearray(self.block())
        gone[-96:-64] = bytes(32)
        blocks = [
            self.block(self.period + 1),
            self.block(self.period - 1),
            bytes(other),
            bytes(gone),
            good,
            good,
        ]
        self.reply(blocks, b"x")
        self.assertEqual([each.number for each in self.passed_over()], [1, 2, 3, 4, 6])
        self.assertEqual([each.number for each in self.passed_over() if each.early], [1])
        reasons = [each.why for each in self.passed_over()]
        words = ["not usable before", "was over", "another network", "does not list", "twice"]
        for why, word in zip(reasons, words, strict=True):
            self.assertIn(word, why)
        error = self.fails(NoUsableBlock, blocks)
        self.assertEqual(error.fields["count"], 6)
        for word in ["used before", *words[:4]]:
            self.assertIn(word, error.fields["why"])
        self.fails(NoUsableBlock, [])
        self.assertEqual(len(self.network.arrived), 1)

    def test_near_the_end(self) -> None:
        """A block that could end on its way is not used."""
        block = self.block()
        ends = (self.period + 1) * WEEK
        self.clock.advance(ends - self.clock.seconds() - 5 * 2400 + 1)
        self.fails(NoUsableBlock, [block])

    def test_deflated(self) -> None:
        """What shrinks enough takes one block."""
        text = self.random.octets(15_000).hex().encode()
        self.reply([self.block()], text)
        [(_, inside)] = self.arrived()
        self.assertEqual(reply.content(inside, len(text)), text)

    def test_several_blocks(self) -> None:
        """A large answer takes several blocks, and repair pieces where there are more of them:
        without so many of its packets it is put together."""
        content = self.random.octets(100_000)
        self.fails(TooFewBlocks, [self.block() for _ in range(4)], content)
        blocks = [self.block() for _ in range(10)]
        sent = self.reply(blocks, content)
        needed, packets = 5, fragments.enough(5)
        self.assertEqual(sent.packets, packets)
        self.assertIn(api.BlocksUsed(packets, 10 - packets), self.events)
        parts = [Fragment.parse(inside.content) for _, inside in self.arrived()]
        [whole] = {part.whole for part in parts}
        held = {part.index: part.octets for part in parts[packets - needed :]}
        self.assertEqual(joined.join(whole, {0: held}, 100_000), content)

    def test_as_many_as_there_are(self) -> None:
        """With no block more than the data takes there is no repair piece."""
        content = self.random.octets(60_000)
        self.assertEqual(self.reply([self.block() for _ in range(3)], content).packets, 3)
        parts = [Fragment.parse(inside.content) for _, inside in self.arrived()]
        held = {part.index: part.octets for part in parts}
        self.assertEqual(joined.join(parts[0].whole, {0: held}, 100_000), content)

    def test_too_large(self) -> None:
        """More packets than messages take are sent only when one says so."""
        error = self.fails(MessageTooLarge, [self.block()], self.random.octets(900_000))
        self.assertEqual(error.fields["limit"], 40)
        self.fails(TooFewBlocks, [self.block()], self.random.octets(900_000), large=True)

    def test_path(self) -> None:
        """A path is as asked for; it does not end where the way back begins."""
        self.reply([self.block()], b"x", path=PATH)
        [(path, _)] = self.arrived()
        self.assertEqual((path[0], path[3]), ("mix1", "mix5"))
        self.fails(CrossesAtFirst, [self.block()], path="mix1, *2, mix2")


class KeptTests(ReplyingCase):
    """What is not handed over at once."""

    def setUp(self) -> None:
        super().setUp()
        for mix in self.network.mixes:
            mix.intake.refusal = Refusal.FULL

    def let_in(self) -> None:
        for mix in self.network.mixes:
            mix.intake.refusal = None

    def flush(self) -> api.Flushed:
        flushed: Any = self.settled(Deferred.fromCoroutine(self.client.flush())).result
        assert isinstance(flushed, api.Flushed)
        return flushed

    def test_kept(self) -> None:
        """It is kept, its block is used, and it is handed over as it is."""
        block = self.block()
        self.fails(api.NotHandedOver, [block], b"kept")
        self.fails(NoUsableBlock, [block])
        [waiting] = self.ask(self.client.waiting())
        self.let_in()
        self.assertEqual(self.flush().handed, (waiting.id,))
        [(_, inside)] = self.arrived()
        self.assertEqual(inside.content, b"kept")

    def test_several(self) -> None:
        """The packets of a large answer are kept and sent together."""
        content = self.random.octets(50_000)
        blocks = [self.block() for _ in range(3)]
        error = self.fails(PartlyHandedOver, blocks, content)
        self.assertEqual((error.fields["kept"], error.fields["packets"]), (3, 3))
        waiting = self.ask(self.client.waiting())
        self.assertEqual({each.part_of for each in waiting}, {waiting[0].id})
        self.let_in()
        self.assertEqual(len(self.flush().handed), 3)
        self.assertEqual(len(self.arrived()), 3)

    def restart(self) -> None:
        self.ask(self.client.close())
        self.client = self.make_client()

    def crash(self, block: bytes, *, again: bool = False) -> api.Waiting:
        """The answer is kept, and the process dies before it was given to anybody."""
        self.restart()
        self.ask(self.client.view())
        self.wire.part(["127.0.0.1"], [mix.host for mix in self.network.mixes])
        sending = Deferred.fromCoroutine(
            self.client.reply([block], b"x", path="?, mix4, *2", again=again)
        )
        self.failureResultOf(self.settled(sending), api.NotHandedOver)
        self.wire.heal()
        self.restart()
        waiting: api.Waiting
        [waiting] = self.ask(self.client.waiting())
        self.assertTrue(waiting.answers and not waiting.handed)
        self.let_in()
        return waiting

    def test_built_again(self) -> None:
        """One that never was handed over is built again from the same block when its entry has
        gone."""
        waiting = self.crash(self.block(way=("mix4",)))
        left = [mix for mix in self.network.mixes if mix.identity != waiting.entry]
        self.network.mixes = left
        self.clock.advance(10)
        self.network.sign()
        self.ask(self.client.update())
        self.assertEqual(self.flush().handed, (waiting.id,))
        [(path, inside)] = self.arrived()
        self.assertEqual((inside.content, path[1], path[4:]), (b"x", "mix4", ["mix4"]))

    def test_missed(self) -> None:
        """One that missed its period cannot be built again: its block's time is over."""
        waiting = self.crash(self.block())
        self.clock.advance(3 * DAY)
        error = self.flush().kept[waiting.id]
        self.assertIsInstance(error, BlockOver)
        self.assertIn("was over", error.fields["why"])
        self.assertEqual(self.network.arrived, [])

    def test_deleted(self) -> None:
        """The block of an answer that is deleted before anybody was given it can be used; one that
        was used before that answer, or of one that may have left, cannot."""
        block = self.block(way=("mix4",))
        waiting = self.crash(block)
        self.assertEqual(self.ask(self.client.discard([waiting.id])), 1)
        self.reply([block], b"another")
        for mix in self.network.mixes:
            mix.intake.refusal = Refusal.FULL
        waiting = self.crash(block, again=True)
        self.ask(self.client.discard([waiting.id]))
        self.fails(NoUsableBlock, [block])
        for mix in self.network.mixes:
            mix.intake.refusal = Refusal.FULL
        other = self.block()
        self.fails(api.NotHandedOver, [other])
        [waiting] = self.ask(self.client.waiting())
        self.ask(self.client.discard([waiting.id]))
        self.fails(NoUsableBlock, [other])

    def test_about_to_miss(self) -> None:
        """Nor is it handed over when its block could end on its way."""
        waiting = self.crash(self.block())
        self.clock.advance((self.period + 1) * WEEK - self.clock.seconds() - 5 * 2400 + 1)
        self.assertIsInstance(self.flush().kept[waiting.id], BlockOver)
        self.assertEqual(self.network.arrived, [])
