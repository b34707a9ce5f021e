"""Reply blocks of our own: made for this key period and the next, and what opens their answers."""

from __future__ import annotations

import sqlite3
from typing import Any

from mixminion.client import blocks_text
from mixminion.client.errors import BadAddress, NotText
from mixminion.client.identity_errors import (
    LifetimeTooLong,
    NoAnswerAddress,
    NoSuchIdentity,
    PassphraseNeeded,
)
from mixminion.client.inspecting import State
from mixminion.crypto.rng import SystemRandom
from mixminion.directory.descriptor import PacketKey
from mixminion.directory.parts import Exit
from mixminion.paths.errors import UnknownServer, UnusableServer
from mixminion.payload import reply
from mixminion.sphinx import crossover
from mixminion.sphinx.errors import AddressTooLong
from mixminion.sphinx.surb import Surb
from mixminion.sphinx.unwrap import Relay, Reply, Unwrapper
from tests.client.network import DAY, DROP, GEOMETRY, VirtualCase

MAILBOX = Exit(name="mailbox", module="mailbox", max_message=2**24)
SMTP = Exit(name="smtp", module="smtp", max_message=2**24)
TEXT = Exit(name="text", module="text", max_message=2**24)
WEEK = 7 * DAY


class BlocksCase(VirtualCase):
    """Mailboxes and mail at the last two mixes."""

    def setUp(self) -> None:
        super().setUp()
        for mix in self.network.mixes[-2:]:
            mix.exits = (DROP, MAILBOX, SMTP, TEXT)
        self.network.sign()

    @property
    def blocks(self) -> Any:
        return self.client.reply_blocks

    def make(self, *args: Any, **options: Any) -> list[Surb]:
        """New blocks as a replier reads them."""
        made = self.ask(self.blocks.create(*args, **options))
        return [Surb.decode(GEOMETRY, each) for each in made]

    def answer(self, block: Surb, text: bytes = b"yes") -> tuple[list[str], Reply]:
        """Answer *block*, and go its path: the nicknames, and what the last hop has."""
        period = block.not_before // self.network.parameters.key_period
        body = reply.to_body(GEOMETRY, block, text, SystemRandom())
        crossed = crossover.cross(GEOMETRY, body)
        assert crossed is not None
        return self.follow(*crossed, period)

    def follow(self, node_id: bytes, packet: bytes, period: int) -> tuple[list[str], Reply]:
        """The path of a packet to the end of a reply block."""
        path = []
        while True:
            [mix] = [each for each in self.network.mixes if each.node_id == node_id]
            path.append(mix.nickname)
            answer = Unwrapper(GEOMETRY, mix.node_id, mix.key(period)[0]).unwrap(packet)
            if isinstance(answer, Reply):
                return path, answer
            assert isinstance(answer, Relay)
            node_id, packet = answer.next, answer.packet

    def read(self, found: Reply, passphrase: bytes | None = None) -> bytes | None:
        """What came for a block, opened by whoever's it is."""
        block = self.ask(self.blocks.lookup(found.surb_id))
        identity = self.ask(self.client.identities.by_id(block.identity))
        unlocked = self.ask(self.client.identities.unlock(identity, passphrase))
        key = self.ask(self.blocks.key(found.surb_id, unlocked))
        return reply.open(block.geometry, key, found.payload)

    def new_client(self, more: str = "") -> None:
        """End the client and begin another with its state."""
        self.ask(self.client.close())
        self.config.write_text(self.network.config(more))
        self.client = self.make_client()

    def ask(self, work: Any) -> Any:
        return super().ask(work) if hasattr(work, "send") else self.clock.result_of(work)


class CreateTests(BlocksCase):
    def test_pair(self) -> None:
        """A block for this period and one for the next, over paths of full length to a mailbox
        that was made; what comes for them opens."""
        blocks = self.make()
        self.assertEqual([each.not_before // WEEK for each in blocks], [2999, 3000])
        self.assertEqual([each.not_after - each.not_before for each in blocks], [WEEK, WEEK])
        [box] = self.ask(self.client.mailboxes())
        for block in blocks:
            path, found = self.answer(block, b"yes")
            self.assertEqual((len(set(path)), path[-1]), (4, box.nickname))
            self.assertEqual(f"{found.exit}:{found.address}@{path[-1]}", box.address)
            self.assertEqual(self.read(found), b"yes")

    def test_count(self) -> None:
        """Three pairs: three that can be used now, and over the border of the periods always
        three, until the second ends."""
        blocks = self.make(3)
        self.assertEqual(len({each.key for each in blocks}), 6)
        self.assertGreater(len({tuple(self.answer(each)[0]) for each in blocks}), 1)
        cap, now = self.network.parameters.delay_cap, self.clock.seconds()
        ends = blocks[-1].not_after
        for moment in (now, now + 2 * DAY, ends - 6 * cap):
            self.assertEqual(sum(each.usable(moment, cap) for each in blocks), 3)
        self.assertEqual(sum(each.usable(ends, cap) for each in blocks), 0)

    def test_lifetime(self) -> None:
        """As many periods as it takes; not more than servers have keys for, which is said."""
        self.assertEqual(len(self.make(lifetime=1.0)), 2)
        self.assertEqual(len(self.make(lifetime=8 * DAY)), 2)
        error = self.assertRaises(LifetimeTooLong, self.make, lifetime=30 * DAY)
        self.assertEqual(error.fields, {"wanted": "30", "most": "8.8"})
        self.clock.advance(DAY)
        self.assertRaises(LifetimeTooLong, self.make, lifetime=8 * DAY)
        for mix in self.network.mixes:
            mix.changes["packet_keys"] = tuple(
                PacketKey(period=period, suite="xwing", key=mix.key(period)[1])
                for period in range(2999, 3002)
            )
        self.network.sign()
        self.ask(self.client.update())
        blocks = self.make(2, lifetime=12 * DAY)
        self.assertEqual(
            [each.not_before // WEEK for each in blocks], [2999] * 2 + [3000] * 2 + [3001] * 2
        )
        self.assertEqual(len(self.make()), 2)

    def test_late(self) -> None:
        """At the very end of a period its keys are of no use: the block of that is not made."""
        self.clock.advance(2 * DAY - 3600)
        [block] = self.make()
        self.assertEqual(block.not_before // WEEK, 3000)

    def test_address(self) -> None:
        """A mail address, a mailbox, the identity's own address."""
        for block in self.make(address="bob@example.org"):
            path, found = self.answer(block)
            self.assertIn(path[-1], ("mix4", "mix5"))
            self.assertEqual((found.exit, found.address), ("smtp", "bob@example.org"))
        other = self.ask(self.client.create_mailbox("mix4"))
        path, found = self.answer(self.make(address=other.address)[0])
        self.assertEqual((path[-1], found.exit), ("mix4", "mailbox"))
        self.ask(self.client.identities.create("bob", address="bob@example.net"))
        self.assertEqual(self.answer(self.make(identity="bob")[0])[1].address, "bob@example.net")
        _, found = self.answer(self.make(identity="bob", address="mailbox")[0])
        self.assertEqual(found.exit, "mailbox")

    def test_wrong(self) -> None:
        """Addresses that are none, or at which nothing arrives, and an identity that is not there:
        nothing is made."""
        for address, error in (
            ("nowhere", BadAddress),
            ("drop", NoAnswerAddress),
            ("news:a.b,c.d", NoAnswerAddress),
            ("mbox:bob@mix9", UnknownServer),
            ("mbox:bob@mix1", UnusableServer),
            (f"text:{'é' * 600}", AddressTooLong),
        ):
            self.assertRaises(error, self.make, address=address)
        self.assertRaises(NoSuchIdentity, self.make, identity="nobody")
        for mix in self.network.mixes[-2:]:
            mix.exits = (Exit(name="smtp", module="smtp", max_message=24_000),)
        self.network.sign(self.clock.seconds() + 1)
        self.clock.advance(2)
        self.ask(self.client.update())
        self.assertRaises(NoAnswerAddress, self.make, address="bob@example.org")
        self.assertEqual(self.ask(self.blocks.all()), [])


class MailboxTests(BlocksCase):
    def test_own(self) -> None:
        """Every identity has a mailbox of its own, the one that is there already first."""
        first = self.ask(self.client.create_mailbox("mix4"))
        self.ask(self.client.identities.create("bob"))
        self.make()
        self.make(identity="bob")
        self.make(identity="bob")
        boxes = self.ask(self.client.mailboxes())
        self.assertEqual(len(boxes), 2)
        addresses = [each.address for each in self.ask(self.client.identities.all())]
        self.assertEqual(addresses, [boxes[1].address, first.address])

    def test_gone(self) -> None:
        """When the server of its mailbox has left, another mailbox is made."""
        self.ask(self.client.create_mailbox("mix4"))
        self.make()
        self.network.mix("mix4").exits = (DROP,)
        self.network.sign(self.clock.seconds() + 1)
        self.clock.advance(2)
        self.ask(self.client.update())
        self.assertEqual(self.answer(self.make()[0])[0][-1], "mix5")
        self.assertEqual(self.answer(self.make(address="mailbox")[0])[0][-1], "mix5")
        self.assertEqual(len(self.ask(self.client.mailboxes())), 2)


class PassphraseTests(BlocksCase):
    def test_protected(self) -> None:
        """Making blocks takes no passphrase, opening answers does; nobody else opens them."""
        self.ask(self.client.identities.create("bob", passphrase=b"secret"))
        [block, _] = self.make(identity="bob")
        _, found = self.answer(block)
        self.assertRaises(PassphraseNeeded, self.read, found)
        self.assertEqual(self.read(found, b"secret"), b"yes")
        other = self.ask(self.client.identities.unlock(self.ask(self.client.identities.get())))
        self.assertIsNone(self.ask(self.blocks.key(found.surb_id, other)))
        self.assertIsNone(self.ask(self.blocks.key(bytes(16), other)))
        self.assertIsNone(self.ask(self.blocks.lookup(bytes(16))))

    def test_at_rest(self) -> None:
        """Nothing in the state file opens an answer without the key of the identity."""
        [block, _] = self.make()
        with sqlite3.connect(self.folder / "state" / "client.sqlite") as connection:
            [sealed] = connection.execute("SELECT key FROM reply_blocks LIMIT 1").fetchone()
        connection.close()
        self.assertNotIn(block.key[:32], sealed)


class RememberTests(BlocksCase):
    def states(self) -> list[int | None]:
        return [each.used for each in self.ask(self.blocks.all())]

    def test_used(self) -> None:
        """A block whose answer was read is remembered as such, and its answer can be read again."""
        [block, _] = self.make()
        _, found = self.answer(block)
        self.assertTrue(self.ask(self.blocks.mark_used(found.surb_id)))
        self.assertFalse(self.ask(self.blocks.mark_used(found.surb_id)))
        hour = int(self.clock.seconds() // 3600) * 3600
        self.assertEqual(self.states(), [hour, None])
        self.assertEqual(self.read(found), b"yes")
        self.clock.advance(29 * DAY)
        self.assertEqual(self.ask(self.blocks.expire()), 0)
        self.clock.advance(DAY + 3600)
        self.assertEqual(self.ask(self.blocks.expire()), 1)
        self.assertEqual(self.states(), [None])

    def test_unread(self) -> None:
        """One that nobody answered stays for 60 days after its end, then goes by itself."""
        self.make()
        self.clock.advance(2 * DAY + 59 * DAY)
        self.ask(self.blocks.mark_used(bytes(16)))
        self.assertEqual(len(self.states()), 2)
        self.clock.advance(2 * DAY)
        self.ask(self.blocks.mark_used(bytes(16)))
        self.assertEqual(len(self.states()), 1)
        self.clock.advance(WEEK)
        self.assertEqual(self.ask(self.blocks.expire()), 1)

    def test_configured(self) -> None:
        """Used ones are forgotten at once where the configuration says so, unread ones sooner."""
        self.new_client("[ReplyBlocks]\nremember-used = no\nwait-for-answers = 1 day\n")
        [block, _] = self.make()
        _, found = self.answer(block)
        self.assertTrue(self.ask(self.blocks.mark_used(found.surb_id)))
        self.assertEqual(self.states(), [None])
        self.clock.advance(9 * DAY + 3600)
        self.assertEqual(self.states(), [None])
        self.clock.advance(DAY)
        self.assertEqual(self.ask(self.blocks.expire()), 1)

    def test_no_longer_configured(self) -> None:
        """What was remembered goes when it is not to be remembered any more."""
        self.make()
        first = self.ask(self.blocks.all())[0]
        self.ask(self.blocks.mark_used(first.surb_id))
        self.new_client("[ReplyBlocks]\nremember-used = no\n")
        self.clock.advance(3600)
        self.assertEqual(self.ask(self.blocks.expire()), 1)

    def test_delete(self) -> None:
        """Single ones by number, and all of an identity with it."""
        self.make()
        self.ask(self.client.identities.create("bob"))
        self.make(identity="bob")
        self.assertEqual(self.ask(self.blocks.delete([1, 9])), [1])
        self.assertEqual([each.number for each in self.ask(self.blocks.all())], [2, 3, 4])
        self.ask(self.client.identities.delete("bob"))
        self.assertEqual([each.name for each in self.ask(self.blocks.all())], ["default"])


class InspectTests(BlocksCase):
    def inspect(self, blocks: list[bytes], known: bool = True) -> list[Any]:
        view = self.ask(self.client.view()) if known else None
        octets = blocks_text.encode(blocks).encode()
        return list(self.ask(self.blocks.inspect(octets, view)))

    def states(self, blocks: list[bytes], known: bool = True) -> list[str]:
        return [str(each.state) for each in self.inspect(blocks, known)]

    def test_states(self) -> None:
        """What can be said of blocks as time goes by."""
        blocks = self.ask(self.blocks.create())
        self.assertEqual(self.states(blocks), ["usable", "not-yet"])
        self.assertEqual(self.states(blocks, known=False), ["unknown", "unknown"])
        own = self.ask(self.blocks.all())
        self.assertEqual([each.own for each in self.inspect(blocks)], own)
        self.clock.advance(2 * DAY - 6000)
        self.assertEqual(self.states(blocks), ["expired", "not-yet"])
        self.clock.advance(6000)
        self.assertEqual(self.states(blocks), ["expired", "usable"])

    def test_foreign(self) -> None:
        """Blocks for other packets, for a mix that is not listed, and ones that were cut off."""
        block = self.ask(self.blocks.create())[0]
        end = len(block) - 96
        other = block[:2] + bytes(8) + block[10:]
        unknown = block[:end] + bytes(32) + block[end + 32 :]
        self.assertEqual(self.states([other]), ["another-network"])
        self.assertEqual(self.states([unknown]), ["another-network"])
        self.assertEqual(self.states([block[:-1]]), ["broken"])
        turned = block[:10] + block[18:26] + block[10:18] + block[26:]
        found = self.ask(self.blocks.inspect(turned))
        self.assertEqual([(each.state, each.suite) for each in found], [(State.BROKEN, None)])

    def test_others(self) -> None:
        """Somebody else's block is nobody's here."""
        block = self.ask(self.blocks.create())[0]
        self.ask(self.blocks.delete([1, 2]))
        [found] = self.inspect([block])
        self.assertIsNone(found.own)
        self.assertFalse(found.used)
        self.ask(self.client.reply(block, b"yes"))
        [found] = self.inspect([block])
        self.assertTrue(found.used)


class SendTests(BlocksCase):
    def sent(self) -> bytes:
        """The content of the one packet that was handed over."""
        [packet] = self.network.arrived
        self.network.open(packet)
        _, _, (_, _, content) = self.network.open(packet)
        return bytes(content)

    def test_mail(self) -> None:
        """A message and its blocks in one packet: whoever finds them answers, and is read."""
        self.ask(self.client.send("alice@example.org", b"Answer me", reply_blocks=1))
        content = self.sent()
        self.assertIn(b"\r\n\r\nAnswer me\r\n-----BEGIN MIXMINION REPLY BLOCK-----\r\n", content)
        blocks = [Surb.decode(GEOMETRY, each) for each in blocks_text.find(content)]
        self.assertEqual(len(blocks), 2)
        for block in blocks:
            self.assertEqual(self.read(self.answer(block)[1]), b"yes")

    def test_mailbox(self) -> None:
        """To a mailbox, by another identity."""
        self.ask(self.client.identities.create("bob"))
        box = self.ask(self.client.create_mailbox("mix4"))
        self.ask(self.client.send(box.address, b"\0\xff", reply_blocks=1, identity="bob"))
        content = self.sent()
        self.assertTrue(content.startswith(b"\0\xff\n-----BEGIN "))
        self.assertEqual(len(blocks_text.find(content)), 2)
        self.assertEqual({each.name for each in self.ask(self.blocks.all())}, {"bob"})

    def test_answer(self) -> None:
        """An answer that can be answered, too."""
        block = self.ask(self.blocks.create())[0]
        self.ask(self.client.identities.create("bob"))
        self.ask(self.client.reply(block, b"And you?", reply_blocks=1, identity="bob"))
        [(mix, packet)] = [
            (mix, packet) for mix in self.network.mixes for packet in mix.intake.packets
        ]
        _, found = self.follow(mix.node_id, packet, 2999)
        content = self.read(found)
        assert content is not None
        self.assertTrue(content.startswith(b"And you?\n-----BEGIN "))
        self.assertEqual(len(blocks_text.find(content)), 2)
        self.assertEqual([each.name for each in self.ask(self.blocks.all())][2:], ["bob", "bob"])

    def test_refused(self) -> None:
        """What cannot be sent makes no blocks."""
        self.assertRaises(
            NotText, self.ask, self.client.send("a@example.org", b"\xff", reply_blocks=1)
        )
        self.assertEqual(self.ask(self.blocks.all()), [])
        self.assertEqual(self.network.arrived, [])
