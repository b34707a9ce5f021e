"""What is frozen in tests/vectors/payload is read as it was."""

from __future__ import annotations

from mixminion.payload import deflate, frame, message, reply
from mixminion.payload.errors import BadPayload, Problem
from mixminion.payload.fragments import Coding, Fragment
from mixminion.payload.frame import Kind
from mixminion.sphinx import crossover, payload, suites, surb
from mixminion.sphinx.geometry import Geometry
from mixminion.testing.cases import SyncTestCase
from tests import vectors
from tests.sphinx.networks import Nodes


def read(octets: bytes) -> object:
    """What an exit makes of a frame."""
    found = frame.parse(octets)
    match found.kind:
        case frame.Kind.MESSAGE:
            return message.parse(found.content)
        case frame.Kind.DEFLATED:
            return message.parse(message.expand(found.content))
        case frame.Kind.FRAGMENT:
            return Fragment.parse(found.content)
    return None


class VectorTests(SyncTestCase):
    def test_good(self) -> None:
        """Messages of one packet, as they are and deflated."""
        kinds = set()
        for case in vectors.load("payload/frames.json")["good"]:
            octets = bytes.fromhex(case["frame"])
            wanted = case["exit"], tuple(case["recipients"]), bytes.fromhex(case["content"])
            self.assertEqual(read(octets), wanted)
            kinds.add(frame.parse(octets).kind)
        self.assertEqual(kinds, {frame.Kind.MESSAGE, frame.Kind.DEFLATED})

    def test_bad(self) -> None:
        """What is dropped, for the reason that stands there."""
        for case in vectors.load("payload/frames.json")["bad"]:
            error = self.assertRaises(BadPayload, read, bytes.fromhex(case["frame"]))
            self.assertEqual(error.problem, case["problem"])

    def test_replies(self) -> None:
        """What owners find in opened replies, sealed here for a block and opened again."""
        g = Geometry(suites.X25519, 1, 96, 1180)
        nodes = Nodes(g)
        self.assertEqual(g.sealed - 32, 720)

        def opened(octets: bytes) -> bytes:
            block, key = surb.make(g, nodes.path(1), "smtp", "a@b", 0, 1, nodes.random)
            sealed = crossover.seal(g, block, octets, nodes.random)
            crossed = crossover.cross(g, frame.encode(Kind.CROSSOVER, sealed, g.body, nodes.random))
            assert crossed is not None
            arrived = payload.decrypt(g.suite, key.hops[0], crossed[1][g.header :])
            found = reply.unseal(g, key, arrived)
            if found is None:
                raise BadPayload(Problem.KIND)
            if found.kind is Kind.FRAGMENT:
                return Fragment.parse(found.content).encode()
            return reply.content(found, 10_000)

        cases = vectors.load("payload/replies.json")
        for case in cases["good"]:
            self.assertEqual(opened(bytes.fromhex(case["inside"])).hex(), case["content"])
        for case in cases["bad"]:
            error = self.assertRaises(BadPayload, opened, bytes.fromhex(case["inside"]))
            self.assertEqual(error.problem, case["problem"])

    def test_coded(self) -> None:
        """What the pieces of each fragmented message are put together to is a message."""
        for case in vectors.load("payload/fragments.json")["messages"]:
            coded, plain = bytes.fromhex(case["coded"]), bytes.fromhex(case["message"])
            if case["coding"] == Coding.DEFLATED:
                coded = b"".join(deflate.inflate([coded], len(coded), 10_000))
            self.assertEqual(coded, plain)
            message.parse(plain)
