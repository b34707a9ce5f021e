"""What is frozen in tests/vectors/payload is read as it was."""

from __future__ import annotations

from mixminion.payload import deflate, frame, message
from mixminion.payload.errors import BadPayload
from mixminion.payload.fragments import Coding, Fragment
from mixminion.testing.cases import SyncTestCase
from tests import vectors


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

    def test_coded(self) -> None:
        """What the pieces of each fragmented message are put together to is a message."""
        for case in vectors.load("payload/fragments.json")["messages"]:
            coded, plain = bytes.fromhex(case["coded"]), bytes.fromhex(case["message"])
            if case["coding"] == Coding.DEFLATED:
                coded = b"".join(deflate.inflate([coded], len(coded), 10_000))
            self.assertEqual(coded, plain)
            message.parse(plain)
