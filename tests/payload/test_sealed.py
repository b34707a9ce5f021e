"""Messages encrypted to a key: lengths, round trips, and whatever is not one."""

from __future__ import annotations

import zlib
from base64 import b64decode
from itertools import islice, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.crypto import hpke, kem
from mixminion.crypto.aead import Forged
from mixminion.crypto.rng import SeededRandom
from mixminion.payload import deflate, sealed
from mixminion.payload.errors import BadPayload, Problem, TooLarge
from mixminion.payload.sealed import HEAD, INFO, OVERHEAD, Kind, Opened
from mixminion.testing.cases import SyncTestCase
from tests import vectors

SEED, PUBLIC = kem.generate()
TEXT = b"".join(b"line %d\r\n" % number for number in range(150))


def within(inside: bytes) -> bytes:
    """An encrypted message with that plain text."""
    return HEAD + hpke.seal(PUBLIC, inside, INFO + HEAD)


class SealTests(SyncTestCase):
    @settings(max_examples=40, deadline=None)
    @given(st.binary(max_size=850), st.sampled_from(Kind))
    def test_round_trip(self, content: bytes, kind: Kind) -> None:
        """Every content comes back, and what has room in the first length has that length."""
        made = sealed.seal(PUBLIC, content, [2000, 3000], kind)
        self.assertEqual(len(made), 2000)
        self.assertEqual(sealed.open(SEED, made), Opened(kind, content))
        self.assertTrue(sealed.is_sealed(made))

    def test_lengths(self) -> None:
        """To the octet: what just fits, and what takes the next length."""
        for length, size in ((0, 2000), (850, 2000), (851, 3000), (1850, 3000)):
            content = self.octets(length)
            made = sealed.seal(PUBLIC, content, [2000, 3000])
            self.assertEqual(len(made), size)
            self.assertEqual(sealed.open(SEED, made).content, content)
        error = self.assertRaises(
            TooLarge, sealed.seal, PUBLIC, self.octets(1851), iter([2000, 3000])
        )
        self.assertEqual(error.fields, {"size": 1851, "limit": 1850})
        self.assertRaises(TooLarge, sealed.seal, PUBLIC, b"", [OVERHEAD - 1])

    def octets(self, length: int) -> bytes:
        """That do not deflate."""
        return SeededRandom(b"sealed").octets(length)

    def test_deflated(self) -> None:
        """Only where it saves a length, and not what nobody would expand."""
        for sizes, size in (([3000], 3000), ([1600, 3000], 1600), ([1200, 3000], 3000)):
            made = sealed.seal(PUBLIC, TEXT, sizes)
            self.assertEqual(len(made), size)
            self.assertEqual(sealed.open(SEED, made).content, TEXT)
        self.assertRaises(TooLarge, sealed.seal, PUBLIC, bytes(5000), [2000])

    def test_steps(self) -> None:
        """Four to a doubling; never a quarter of padding more than the room of one packet."""
        steps = list(islice(sealed.steps(), 40))
        self.assertEqual(steps[:12], [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16])
        for low, high in pairwise(steps):
            self.assertLess(low, high)
            self.assertLessEqual(high - low - 1, low / 4)

    def test_never_the_same(self) -> None:
        """The same content twice is not to be seen."""
        one, two = (sealed.seal(PUBLIC, TEXT, [3000]) for _ in range(2))
        self.assertNotEqual(one[8:40], two[8:40])


class OpenTests(SyncTestCase):
    def refused(self, problem: Problem, octets: bytes, limit: int = 10_000) -> None:
        error = self.assertRaises(BadPayload, sealed.open, SEED, octets, limit)
        self.assertEqual(error.problem, problem)

    def test_vectors(self) -> None:
        """What is frozen opens as it did, or is refused for the reason that stands there."""
        frozen = vectors.load("payload/sealed.json")
        seed = b64decode(frozen["seed"])
        self.assertEqual(kem.public_from_seed(seed), b64decode(frozen["public"]))
        for case in frozen["good"]:
            found = sealed.open(seed, b64decode(case["sealed"]))
            self.assertEqual(found, Opened(case["kind"], b64decode(case["content"])))
        for case in frozen["bad"]:
            octets = b64decode(case["sealed"])
            if case["problem"] == "forged":
                self.assertRaises(Forged, sealed.open, seed, octets)
            else:
                error = self.assertRaises(BadPayload, sealed.open, seed, octets)
                self.assertEqual(error.problem, case["problem"])

    def test_not_ours(self) -> None:
        """Another key; an octet changed, lost or added anywhere."""
        made = sealed.seal(PUBLIC, TEXT, [3000])
        self.assertEqual(sealed.open(SEED, made).content, TEXT)
        self.assertRaises(Forged, sealed.open, kem.generate()[0], made)
        for at in (*range(8, 3000, 311), 2999):
            changed = made[:at] + bytes((made[at] ^ 1,)) + made[at + 1 :]
            self.assertRaises(Forged, sealed.open, SEED, changed)
            self.assertRaises(Forged, sealed.open, SEED, made[:at])
        self.assertRaises(Forged, sealed.open, SEED, made + b"\0")

    def test_other_purposes(self) -> None:
        """What was sealed to the key for something else is no message."""
        inside = b"\0\0\0\0\0\4text"
        self.assertEqual(sealed.open(SEED, within(inside)).content, b"text")
        for info in (b"", INFO, b"mixminion2 surb key"):
            self.assertRaises(Forged, sealed.open, SEED, HEAD + hpke.seal(PUBLIC, inside, info))

    def test_inside(self) -> None:
        """What a sender may write into one, and no reader takes."""
        self.refused(Problem.KIND, b"")
        self.refused(Problem.KIND, TEXT)
        self.refused(Problem.VERSION, sealed.MAGIC)
        self.refused(Problem.VERSION, sealed.MAGIC + b"\2")
        for problem, inside in (
            (Problem.SHORT, b""),
            (Problem.SHORT, b"\0\0\0\0\0"),
            (Problem.KIND, b"\2\0\0\0\0\0"),
            (Problem.CODING, b"\0\2\0\0\0\0"),
            (Problem.LENGTH, b"\0\0\0\0\0\1"),
            (Problem.LENGTH, b"\0\0\xff\xff\xff\xff" + bytes(90)),
            (Problem.ZEROS, b"\0\0\0\0\0\0" + bytes(90) + b"\1"),
            (Problem.DEFLATE, b"\0\1\0\0\0\0"),
        ):
            self.refused(problem, within(inside))

    def test_bombs(self) -> None:
        """More than is wanted, or than the octets may expand to, is refused before it is made."""
        text = bytes(range(256)) * 8
        made = sealed.seal(PUBLIC, text, [2000])
        self.assertEqual(sealed.open(SEED, made, len(text)).content, text)
        self.refused(Problem.SIZE, made, len(text) - 1)
        self.refused(Problem.SIZE, sealed.seal(PUBLIC, text, [5000]), len(text) - 1)
        bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
        coded = bomb.compress(bytes(1 << 24)) + bomb.flush()
        for said in (1 << 24, deflate.RATIO * len(coded)):
            whole = said.to_bytes(4) + coded
            problem = Problem.SIZE if said == 1 << 24 else Problem.DEFLATE
            self.refused(problem, within(b"\0\1" + len(whole).to_bytes(4) + whole), 1 << 25)
