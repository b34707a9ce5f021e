"""Replies: what goes into a sealed reply, and what its owner takes out of what arrives."""

from __future__ import annotations

from mixminion.errors import render
from mixminion.payload import frame, reply
from mixminion.payload.errors import TooLarge
from mixminion.payload.frame import Kind
from mixminion.sphinx import crossover, geometry, payload, surb
from mixminion.sphinx.surb import Surb, SurbKey
from mixminion.testing.cases import SyncTestCase
from tests.sphinx.networks import SMALL_X25519, Nodes


class ReplyTests(SyncTestCase):
    def setUp(self) -> None:
        self.nodes = Nodes(SMALL_X25519)
        self.random = self.nodes.random

    def block(self) -> tuple[Surb, SurbKey]:
        return surb.make(SMALL_X25519, self.nodes.path(2), "smtp", "a@b", 0, 1, self.random)

    def arrive(self, key: SurbKey, body: bytes) -> bytes:
        """What the owner gets when the crossover's packet took its way."""
        crossed = crossover.cross(SMALL_X25519, body)
        assert crossed is not None
        octets = crossed[1][SMALL_X25519.header :]
        for secret in key.hops:
            octets = payload.decrypt(SMALL_X25519.suite, secret, octets)
        return octets

    def test_round_trip(self) -> None:
        """The owner reads what was written: nothing, something, all that fits."""
        block, key = self.block()
        for size in (0, 1, reply.capacity(SMALL_X25519)):
            body = reply.to_body(SMALL_X25519, block, b"x" * size, self.random)
            self.assertEqual(len(body), SMALL_X25519.body)
            self.assertIs(frame.parse(body).kind, Kind.CROSSOVER)
            opened = reply.open(SMALL_X25519, key, self.arrive(key, body))
            self.assertEqual(opened, b"x" * size)

    def test_capacity(self) -> None:
        """20,700 octets by default; one more is refused with both sizes."""
        self.assertEqual(reply.capacity(geometry.default()), 20700)
        limit = reply.capacity(SMALL_X25519)
        block, _ = self.block()
        error = self.assertRaises(
            TooLarge, reply.to_body, SMALL_X25519, block, bytes(limit + 1), self.random
        )
        self.assertEqual(error.fields, {"size": limit + 1, "limit": limit})
        self.assertIn(str(limit), render(error))

    def test_other_kinds(self) -> None:
        """Only a frame of kind reply is taken out of a sealed reply."""
        block, key = self.block()
        g = SMALL_X25519
        for kind in Kind:
            inside = frame.encode(kind, b"answer", g.sealed - 32, self.random)
            content = crossover.seal(g, block, inside, self.random)
            body = frame.encode(Kind.CROSSOVER, content, g.body, self.random)
            opened = reply.open(g, key, self.arrive(key, body))
            self.assertEqual(opened, b"answer" if kind is Kind.REPLY else None)

    def test_noise(self) -> None:
        """A frame that is none, well sealed, is refused."""
        block, key = self.block()
        g = SMALL_X25519
        content = crossover.seal(g, block, b"\2", self.random)
        body = frame.encode(Kind.CROSSOVER, content, g.body, self.random)
        self.assertIsNone(reply.open(g, key, self.arrive(key, body)))
