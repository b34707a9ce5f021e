"""Stored records: versioned, and read back as they were written."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.exits import record
from mixminion.interfaces import Message
from mixminion.testing.cases import SyncTestCase

MESSAGES = st.builds(
    Message,
    exit=st.text("abc-", min_size=1, max_size=32),
    recipients=st.lists(st.text(max_size=50), max_size=5).map(tuple),
    content=st.binary(max_size=100),
    surb_id=st.none() | st.binary(min_size=16, max_size=16),
    message_id=st.just("<0a@mix.test>"),
    date=st.integers(0, 2**64 - 1),
)
MESSAGE = Message("smtp", ("a@x.test", "ä"), b"content", None, "<0a@mix.test>", 1_800_000_000)


class RecordTests(SyncTestCase):
    @settings(max_examples=200, deadline=None)
    @given(MESSAGES)
    def test_round_trip(self, message: Message) -> None:
        """Every message comes back the same."""
        self.assertEqual(record.decode(record.encode(message)), message)

    def test_layout(self) -> None:
        """The octets, as the specification says."""
        self.assertEqual(
            record.encode(MESSAGE).hex(" ", 1),
            (
                b"\x01\x00" + (1_800_000_000).to_bytes(8) + bytes(16) + b"\x0d<0a@mix.test>"
                b"\x04smtp\x02\x00\x08a@x.test\x00\x02\xc3\xa4content"
            ).hex(" ", 1),
        )

    def test_damage(self) -> None:
        """A cut record, another version or a wrong flag is a fault of ours, said as one."""
        whole = record.encode(MESSAGE)
        head = len(whole) - len(MESSAGE.content)
        for octets in (
            b"\x02" + whole[1:],
            b"\x01\x02" + whole[2:],
            *map(whole.__getitem__, (slice(0, n) for n in range(head))),
        ):
            with self.assertRaises(record.BadRecord):
                record.decode(octets)
