"""The chunks between the network process and its workers."""

from hypothesis import given
from hypothesis import strategies as st

from mixminion.mix import batches
from mixminion.mix.batches import Answer, BrokenAnswer, Chunks, Drop
from mixminion.sphinx.unwrap import Deliver, Relay, Reply
from mixminion.testing.cases import SyncTestCase

tags = st.binary(min_size=16, max_size=16)
delays = st.integers(0, 2**32 - 1)
names = st.text(max_size=20)
results = st.one_of(
    st.builds(Relay, tags, st.binary(min_size=32, max_size=32), delays, st.binary(max_size=99)),
    st.builds(Deliver, tags, delays, st.binary(max_size=99)),
    st.builds(
        Reply, tags, delays, st.binary(min_size=16, max_size=16), names, names, st.binary()
    ),
)
answers = st.one_of(
    st.builds(Answer, st.integers(0, 2**32 - 1), results), st.builds(Drop, st.just("mac"))
)


class AnswersTests(SyncTestCase):
    """Answers come out as they went in."""

    @given(st.lists(answers, max_size=5))
    def test_round_trip(self, given_answers: list[Answer | Drop]) -> None:
        """Every kind of answer, several in one chunk."""
        pieces = [piece for answer in given_answers for piece in batches.encode_answer(answer)]
        chunk = batches.answer_chunk(batches.UNWRAP, 7, pieces)
        [body] = Chunks().feed(chunk)
        self.assertEqual(batches.HEAD.unpack_from(body), (batches.UNWRAP, 7))
        self.assertEqual(
            list(batches.parse_answers(body[batches.HEAD.size :])), given_answers
        )

    @given(answers, st.data())
    def test_a_truncated_answer_is_broken(self, answer: Answer | Drop, data: st.DataObject) -> None:
        """Nothing is made up from an answer that was cut."""
        whole = b"".join(batches.encode_answer(answer))
        cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
        with self.assertRaises(BrokenAnswer):
            list(batches.parse_answers(memoryview(cut)))

    def test_unwrap_request_round_trip(self) -> None:
        """Periods and packets arrive in order."""
        packets = [bytes([n]) * 50 for n in range(3)]
        request = b"".join(batches.unwrap_request(9, (4, 3), packets))
        [body] = Chunks().feed(request)
        self.assertEqual(batches.HEAD.unpack_from(body), (batches.UNWRAP, 9))
        parsed = batches.parse_unwrap(body[batches.HEAD.size :], 50)
        self.assertEqual(parsed, ([4, 3], packets))

    def test_public_keys_round_trip(self) -> None:
        """Public halves by period."""
        keys = {1: b"a" * 32, 2: b"b" * 1216}
        octets = b"".join(batches.encode_public(keys))
        self.assertEqual(batches.parse_public(memoryview(octets)), keys)


class ChunksTests(SyncTestCase):
    """A stream in any pieces gives the same chunks."""

    @given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(1, 50), min_size=1))
    def test_any_cutting(self, bodies: list[bytes], sizes: list[int]) -> None:
        """Chunk borders and read borders have nothing to do with each other."""
        stream = b"".join(batches.LENGTH.pack(len(body)) + body for body in bodies)
        chunks, got, at, n = Chunks(), [], 0, 0
        while at < len(stream):
            size = sizes[n % len(sizes)]
            got += [bytes(chunk) for chunk in chunks.feed(stream[at : at + size])]
            at, n = at + size, n + 1
        self.assertEqual(got, bodies)
