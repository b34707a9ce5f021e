"""What the network process and its workers say to each other."""

from hypothesis import given
from hypothesis import strategies as st

from mixminion.mix import batches
from mixminion.mix.batches import Answer, BrokenAnswer, Drop, Made, Wanted
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx.unwrap import Deliver, Relay, Reply
from mixminion.testing.cases import SyncTestCase
from tests.mix.kit import GEOMETRY

tags = st.binary(min_size=16, max_size=16)
delays = st.integers(0, 2**32 - 1)
names = st.text(max_size=20)
results = st.one_of(
    st.builds(Relay, tags, st.binary(min_size=32, max_size=32), delays, st.binary(max_size=99)),
    st.builds(Deliver, tags, delays, st.binary(max_size=99)),
    st.builds(Reply, tags, delays, st.binary(min_size=16, max_size=16), names, names, st.binary()),
)
answers = st.one_of(
    st.builds(Answer, st.integers(0, 2**64 - 1), results), st.builds(Drop, st.just("mac"))
)


def written(all_answers: batches.Answers) -> tuple[bytes, list[bytes]]:
    """The records of some answers, and what stands in their slots."""
    pairs = [batches.encode_answer(answer) for answer in all_answers]
    return b"".join(record for record, _ in pairs), [b"".join(pieces) for _, pieces in pairs]


def read(records: bytes, slots: list[bytes]) -> batches.Answers:
    """The answers again."""
    return batches.parse_answers(records, lambda n, length: memoryview(slots[n])[:length])


class AnswersTests(SyncTestCase):
    """Answers come out as they went in."""

    @given(st.lists(answers, max_size=5))
    def test_round_trip(self, given_answers: batches.Answers) -> None:
        """Every kind of answer, several in one batch, in slots that are longer."""
        records, slots = written(given_answers)
        longer = [slot + b"left from before" for slot in slots]
        self.assertEqual(read(records, longer), given_answers)

    @given(answers, st.data())
    def test_a_truncated_record_is_broken(self, answer: Answer | Drop, data: st.DataObject) -> None:
        """Nothing is made up from an answer that was cut."""
        records, slots = written([answer])
        cut = records[: data.draw(st.integers(1, len(records) - 1))]
        self.assertRaises(BrokenAnswer, read, cut, slots)

    def test_an_unknown_kind_is_broken(self) -> None:
        """A worker of another version."""
        record = batches.ANSWER.pack(7, 0, 0, batches.NO_TAG, 0)
        self.assertRaises(BrokenAnswer, read, record, [b""])

    def test_unwrap_request_round_trip(self) -> None:
        """Area, count and periods."""
        body = batches.AREA.pack(1, 16) + batches.encode_periods((4, 2**40))
        self.assertEqual(batches.parse_unwrap(body), (1, 16, [4, 2**40]))

    def test_wanted_keys_round_trip(self) -> None:
        """Each with its geometry."""
        wanted = [Wanted(1, geometries.default(), begun=True), Wanted(2**40, GEOMETRY)]
        self.assertEqual(batches.parse_wanted(batches.encode_wanted(wanted)), wanted)

    def test_public_keys_round_trip(self) -> None:
        """Public halves, of both suites; what is cut, or of another suite, is broken."""
        made = [Made(1, "x25519", b"a" * 32), Made(2**40, "xwing", b"b" * 1216)]
        octets = batches.encode_made(made)
        self.assertEqual(batches.parse_made(octets), made)
        self.assertRaises(BrokenAnswer, batches.parse_made, octets[:-1])
        self.assertRaises(BrokenAnswer, batches.parse_made, octets + b"\0")
        strange = batches.MADE.pack(1, 77, 2) + b"ab"
        self.assertRaises(BrokenAnswer, batches.parse_made, strange)
