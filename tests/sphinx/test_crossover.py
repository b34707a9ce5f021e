"""The sealed crossover: a replier's answer reaches the owner through a mix that cannot read it."""

from __future__ import annotations

from mixminion.payload import reply
from mixminion.sphinx import build, crossover, surb
from mixminion.sphinx.unwrap import Relay, Reply
from mixminion.testing.cases import SyncTestCase
from tests.sphinx.networks import DEFAULT, SMALL, SMALL_X25519, Nodes


class CrossoverTests(SyncTestCase):
    def test_reaches_its_owner(self) -> None:
        """For every length of both paths, the owner gets what the replier wrote."""
        for g in SMALL:
            nodes = Nodes(g)
            for there in range(1, g.hops + 1):
                for back in range(1, g.hops + 1):
                    self.answer(nodes, there, back)

    def test_default(self) -> None:
        """The same at the default sizes, over full paths."""
        for g in DEFAULT:
            self.answer(Nodes(g), g.hops, g.hops)

    def answer(self, nodes: Nodes, there: int, back: int) -> None:
        g, random = nodes.geometry, nodes.random
        path = nodes.path(there)
        block, key = surb.make(g, nodes.path(back), "smtp", "me@example.org", 0, 1, random)
        content = random.octets(reply.capacity(g) - there)
        body = reply.to_body(g, block, content, random)
        self.assertEqual(len(body), g.body)
        packet = build.crossover(g, path, body, random)
        answers = list(nodes.walk(path[0].node_id, packet))
        self.assertEqual(len(answers), there + back)
        *relays, last = answers
        assert isinstance(last, Reply)
        self.assertTrue(all(isinstance(answer, Relay) for answer in relays))
        self.assertEqual((last.exit, last.address), ("smtp", "me@example.org"))
        self.assertEqual(last.surb_id, key.surb_id)
        self.assertEqual(len(last.payload), g.payload)
        self.assertEqual(reply.open(g, key, last.payload), content)

    def test_own_delay(self) -> None:
        """The crossover mix holds the packet for the delay in its own slot."""
        nodes = Nodes(SMALL_X25519)
        path = nodes.path(2)
        block, _ = surb.make(SMALL_X25519, nodes.path(1), "x", "", 0, 1, nodes.random)
        body = reply.to_body(SMALL_X25519, block, b"", nodes.random)
        packet = build.crossover(SMALL_X25519, path, body, nodes.random)
        _, crossed, _ = nodes.walk(path[0].node_id, packet)
        assert isinstance(crossed, Relay)
        self.assertEqual((crossed.delay_ms, crossed.next), (path[1].delay_ms, block.first_hop))

    def test_capacity(self) -> None:
        """A frame may fill the sealed reply, and not more; a shorter one is filled at random."""
        g, nodes = SMALL_X25519, Nodes(SMALL_X25519)
        block, _ = surb.make(g, nodes.path(1), "x", "", 0, 1, nodes.random)
        room = g.sealed - 32
        self.assertEqual(len(crossover.seal(g, block, bytes(room), nodes.random)), g.body - 8)
        a, b = (crossover.seal(g, block, b"", nodes.random)[-g.sealed :] for _ in range(2))
        self.assertNotEqual(a, b)
        self.assertRaises(ValueError, crossover.seal, g, block, bytes(room + 1), nodes.random)

    def test_tail(self) -> None:
        """The tail fills the payload: header and 104 octets, from the seed in the frame alone."""
        g, nodes = SMALL_X25519, Nodes(SMALL_X25519)
        block, _ = surb.make(g, nodes.path(1), "x", "", 0, 1, nodes.random)
        body = reply.to_body(g, block, b"", nodes.random)
        crossed = crossover.cross(g, body)
        assert crossed is not None
        first_hop, packet = crossed
        self.assertEqual(first_hop, block.first_hop)
        self.assertEqual(len(packet), g.packet)
        self.assertEqual(packet[: g.header], block.header)
        expected = surb.tail(g, surb.tail_seed(g, block.key))
        self.assertEqual(packet[g.header + g.sealed :], expected)
        self.assertEqual(len(expected), g.header + 104)
