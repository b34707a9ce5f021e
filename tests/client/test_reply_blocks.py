"""Reply blocks of our own: made for this key period and the next, and what opens their answers."""

from __future__ import annotations

from typing import Any

from mixminion.crypto.rng import SystemRandom
from mixminion.directory.parts import Exit
from mixminion.payload import reply
from mixminion.sphinx import crossover
from mixminion.sphinx.surb import Surb
from mixminion.sphinx.unwrap import Relay, Reply, Unwrapper
from tests.client.network import DAY, GEOMETRY, VirtualCase

MAILBOX = Exit(name="mailbox", module="mailbox", max_message=2**24)


class BlocksCase(VirtualCase):
    """Mailboxes at the last two mixes."""

    def setUp(self) -> None:
        super().setUp()
        for mix in self.network.mixes[-2:]:
            mix.exits += (MAILBOX,)
        self.network.sign()
        self.blocks = self.client.reply_blocks
        self.now = self.clock.seconds()

    def make(self, *args: Any, **options: Any) -> list[Surb]:
        """New blocks as a replier reads them."""
        made = self.ask(self.blocks.create(*args, **options))
        return [Surb.decode(GEOMETRY, each) for each in made]

    def answer(self, block: Surb, text: bytes) -> tuple[list[str], Reply]:
        """Answer *block*, and go its path: the nicknames, and what the last hop has."""
        period = block.not_before // self.network.parameters.key_period
        body = reply.to_body(GEOMETRY, block, text, SystemRandom())
        crossed = crossover.cross(GEOMETRY, body)
        assert crossed is not None
        next_hop, packet = crossed
        path = []
        while True:
            [mix] = [each for each in self.network.mixes if each.node_id == next_hop]
            path.append(mix.nickname)
            answer = Unwrapper(GEOMETRY, mix.node_id, mix.key(period)[0]).unwrap(packet)
            if isinstance(answer, Reply):
                return path, answer
            assert isinstance(answer, Relay)
            next_hop, packet = answer.next, answer.packet


class CreateTests(BlocksCase):
    def test_pair(self) -> None:
        """A block for this period and one for the next; what comes for them opens."""
        blocks = self.make()
        week = 7 * DAY
        self.assertEqual([each.not_before // week for each in blocks], [2999, 3000])
        identity = self.ask(self.client.identities.get(None))
        unlocked = self.ask(self.client.identities.unlock(identity))
        [box] = self.ask(self.client.mailboxes())
        for block in blocks:
            path, found = self.answer(block, b"yes")
            self.assertEqual((len(set(path)), path[-1]), (4, box.nickname))
            self.assertEqual(f"{found.exit}:{found.address}@{path[-1]}", box.address)
            key = self.ask(self.blocks.key(found.surb_id, unlocked))
            self.assertEqual(reply.open(GEOMETRY, key, found.payload), b"yes")
