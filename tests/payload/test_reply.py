"""Replies: what goes into a sealed reply, and what its owner takes out of what arrives."""

from __future__ import annotations

from mixminion.errors import render
from mixminion.payload import fragments, frame, reply
from mixminion.payload.errors import BadPayload, Problem, TooLarge
from mixminion.payload.fragments import Coding, Fragment, Whole
from mixminion.payload.frame import Frame, Kind
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
        content = self.random.octets(limit + 1)
        error = self.assertRaises(
            TooLarge, reply.to_body, SMALL_X25519, block, content, self.random
        )
        self.assertEqual(error.fields, {"size": limit + 1, "limit": limit})
        self.assertIn(str(limit), render(error))

    def test_deflated(self) -> None:
        """What does not fit as it is is deflated, and no more is made of it than allowed."""
        limit = reply.capacity(SMALL_X25519)
        text = b"line after line\r\n" * (limit // 4)
        block, key = self.block()
        body = reply.to_body(SMALL_X25519, block, text, self.random)
        arrived = self.arrive(key, body)
        found = reply.unseal(SMALL_X25519, key, arrived)
        assert found is not None
        self.assertIs(found.kind, Kind.DEFLATED)
        self.assertEqual(reply.content(found, len(text)), text)
        self.assertEqual(reply.open(SMALL_X25519, key, arrived), text)
        error = self.assertRaises(BadPayload, reply.content, found, len(text) - 1)
        self.assertEqual(error.problem, Problem.SIZE)

    def test_limit(self) -> None:
        """What is not deflated is held to the limit as well."""
        inside = Frame(Kind.REPLY, b"12345")
        self.assertEqual(reply.content(inside, 5), b"12345")
        error = self.assertRaises(BadPayload, reply.content, inside, 4)
        self.assertEqual(error.problem, Problem.SIZE)

    def test_fragments(self) -> None:
        """A fragment fills a sealed reply to the octet, and is no whole reply."""
        g = SMALL_X25519
        block, key = self.block()
        piece = reply.piece_length(g)
        part = Fragment(Whole(b"i" * 16, Coding.PLAIN, 2 * piece, piece), 0, 1, b"p" * piece)
        inside = Frame(Kind.FRAGMENT, part.encode())
        arrived = self.arrive(key, reply.seal(g, block, inside, self.random))
        found = reply.unseal(g, key, arrived)
        self.assertEqual(found, inside)
        self.assertIsNone(reply.open(g, key, arrived))
        self.assertRaises(ValueError, reply.content, inside, 10_000)
        longer = Frame(Kind.FRAGMENT, part.encode() + b"p")
        self.assertRaises(ValueError, reply.seal, g, block, longer, self.random)

    def test_pieces(self) -> None:
        """20,676 octets of a piece by default."""
        self.assertEqual(reply.piece_length(geometry.default()), 20_676)

    def test_allot(self) -> None:
        """Data first, then repair pieces in turn, no more than are of use."""
        one = Whole(bytes(16), Coding.PLAIN, 3 * 256, 256)
        self.assertRaises(ValueError, reply.allot, one, 2)
        self.assertEqual(reply.allot(one, 3), [[0, 1, 2]])
        self.assertEqual(reply.allot(one, 4), [[0, 1, 2, 3]])
        self.assertEqual(reply.allot(one, 100), [list(range(fragments.enough(3)))])
        two = Whole(bytes(16), Coding.PLAIN, 65 * 256, 256)
        self.assertEqual([len(each) for each in reply.allot(two, 68)], [35, 33])

    def test_other_kinds(self) -> None:
        """Only replies, deflated ones and fragments are taken out of a sealed reply."""
        block, key = self.block()
        g = SMALL_X25519
        for kind in Kind:
            inside = frame.encode(kind, b"answer", g.sealed - 32, self.random)
            content = crossover.seal(g, block, inside, self.random)
            body = frame.encode(Kind.CROSSOVER, content, g.body, self.random)
            arrived = self.arrive(key, body)
            found = reply.unseal(g, key, arrived)
            self.assertEqual(found is not None, kind in reply.INSIDE, kind)
            opened = reply.open(g, key, arrived)
            self.assertEqual(opened, b"answer" if kind is Kind.REPLY else None)

    def test_noise(self) -> None:
        """A frame that is none, well sealed, is refused."""
        block, key = self.block()
        g = SMALL_X25519
        content = crossover.seal(g, block, b"\2", self.random)
        body = frame.encode(Kind.CROSSOVER, content, g.body, self.random)
        self.assertIsNone(reply.open(g, key, self.arrive(key, body)))
