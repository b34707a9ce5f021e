"""Stored records: versioned, and read back as they were written."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.exits import record
from mixminion.interfaces import Message
from mixminion.payload import deflate
from mixminion.payload import message as messages
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

    def test_deflated(self) -> None:
        """A message that came compressed stays so in its record, and comes back as it was."""
        long = replace(MESSAGE, content=b"line after line\r\n" * 50)
        octets = messages.encode(long.exit, long.recipients, long.content)
        packed = b"".join(deflate.deflate([octets], len(octets)))
        stored = record.encode(long, packed)
        self.assertLess(len(stored), 200)
        self.assertEqual(record.decode(stored), long)
        for damaged in (stored[:-1], stored + b"\0", stored.replace(packed, octets)):
            self.assertRaises(record.BadRecord, record.decode, damaged)

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
