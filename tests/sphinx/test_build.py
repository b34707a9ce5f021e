"""Building: what is built arrives, and what cannot be built is refused."""

from __future__ import annotations

from mixminion.crypto.errors import BadPublicKey, LowOrderPoint
from mixminion.sphinx import build
from mixminion.sphinx.build import Hop
from mixminion.sphinx.unwrap import Deliver, Relay
from mixminion.testing.cases import SyncTestCase
from tests.sphinx.networks import DEFAULT, SMALL, SMALL_X25519, Nodes


class BuildTests(SyncTestCase):
    def test_arrives(self) -> None:
        """Over every length of path the body arrives, each hop with its own delay and new tag."""
        for g in SMALL + DEFAULT:
            for n in range(1, g.hops + 1):
                nodes = Nodes(g)
                path = nodes.path(n)
                body = nodes.random.octets(g.body)
                packet = build.forward(g, path, body, nodes.random)
                answers = list(nodes.walk(path[0].node_id, packet))
                self.assertEqual(len(answers), n)
                self.assertEqual([a.delay_ms for a in answers], [hop.delay_ms for hop in path])
                self.assertEqual(len({a.tag for a in answers}), n)
                last = answers[-1]
                assert isinstance(last, Deliver)
                self.assertEqual(last.body, body)

    def test_same_node_twice(self) -> None:
        """A path may return to a node; the two visits have different tags."""
        nodes = Nodes(SMALL_X25519)
        a, b = nodes.path(2)
        packet = build.forward(SMALL_X25519, [a, b, a], bytes(SMALL_X25519.body), nodes.random)
        first, _, last = nodes.walk(a.node_id, packet)
        self.assertNotEqual(first.tag, last.tag)

    def test_nothing_repeats(self) -> None:
        """Two packets for one path and body have no 8 octets of header or payload in common."""
        for g in SMALL:
            nodes = Nodes(g)
            path, body = nodes.path(2), bytes(g.body)
            a, b = (build.forward(g, path, body, nodes.random) for _ in range(2))
            windows = {a[i : i + 8] for i in range(2, len(a) - 8)}
            self.assertFalse(any(b[i : i + 8] in windows for i in range(2, len(b) - 8)))

    def test_impossible(self) -> None:
        """Wrong body lengths, path lengths and node ids are the caller's mistakes."""
        g, nodes = SMALL_X25519, Nodes(SMALL_X25519)
        path, body = nodes.path(4), bytes(g.body)
        for wrong in (body[:-1], body + b"\0"):
            self.assertRaises(ValueError, build.forward, g, path[:1], wrong, nodes.random)
        self.assertRaises(ValueError, build.forward, g, path, body, nodes.random)
        self.assertRaises(ValueError, build.crossover, g, [], body, nodes.random)
        short = Hop(path[0].node_id[:-1], path[0].public_key, 0)
        self.assertRaises(ValueError, build.forward, g, [short], body, nodes.random)

    def test_bad_keys(self) -> None:
        """A hop whose published key is none, or weak, is refused before anything is sent."""
        for g in SMALL:
            nodes = Nodes(g)
            good, hop = nodes.path(2)
            for key, error in (
                (hop.public_key[1:], BadPublicKey),
                (hop.public_key[:-32] + bytes(32), LowOrderPoint),
            ):
                path = [good, Hop(hop.node_id, key, 0)]
                self.assertRaises(error, build.forward, g, path, bytes(g.body), nodes.random)

    def test_relay_keeps_payload_opaque(self) -> None:
        """No hop but the last sees the body."""
        g, nodes = SMALL_X25519, Nodes(SMALL_X25519)
        path = nodes.path(3)
        body = b"secret address".ljust(g.body, b".")
        packet = build.forward(g, path, body, nodes.random)
        for answer in list(nodes.walk(path[0].node_id, packet))[:-1]:
            assert isinstance(answer, Relay)
            self.assertNotIn(b"secret", answer.packet)
            self.assertNotIn(b"........", answer.packet)
