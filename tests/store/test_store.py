"""Nothing that was accepted is lost, nothing is accepted twice."""

from __future__ import annotations

import os

from mixminion.errors import render
from mixminion.store import (
    DROPPED,
    GONE,
    REPLAY,
    Entry,
    Pooled,
    Step,
    Store,
    StoreClosed,
    StoreError,
    StoreFull,
)
from tests.store.cases import MAP, NODE, PACKET, StoreCase

TAG = b"t" * 16


class OperationTests(StoreCase):
    """Each operation, and what a reopened store says of it."""

    def test_take_in(self):
        """Packets come back octet by octet, in the order they came, after a reopening too."""
        store = self.open()
        packets = [os.urandom(PACKET) for _ in range(20)]
        ids = self.results([store.take_in(packet) for packet in packets])
        self.result(store.close())
        store = self.open()
        waiting = self.result(store.waiting())
        self.assertEqual(waiting.incoming, ids)
        self.assertEqual(self.result(store.read_incoming(ids)), packets)
        self.assertEqual(waiting.pooled, [])

    def test_ids_go_on(self):
        """A reopened store gives no id that a packet in it has."""
        store = self.open()
        [first, second] = self.results([store.take_in(b"1"), store.take_in(b"2")])
        self.result(store.unwrapped([Step(first)]))
        self.result(store.close())
        store = self.open()
        self.assertEqual(self.result(store.take_in(b"3")), second + 1)
        self.assertEqual(self.result(store.read_incoming([second, second + 1])), [b"2", b"3"])

    def test_pooled(self):
        """A step moves: the incoming packet goes, the record comes with destination and due."""
        store = self.open()
        incoming = self.result(store.take_in(b"packet"))
        record = os.urandom(PACKET)
        steps = [Step(incoming, 7, TAG, Pooled(b"exit:mail", 2**41, record))]
        [verdict] = self.result(store.unwrapped(steps))
        assert isinstance(verdict, int)
        self.result(store.close())
        store = self.open()
        waiting = self.result(store.waiting())
        self.assertEqual(waiting.incoming, [])
        self.assertEqual(waiting.pooled, [Entry(verdict, 2**41, b"exit:mail")])
        self.assertEqual(waiting.tag_keys, [7])
        self.assertEqual(self.result(store.read([verdict])), [record])

    def test_pooled_ids(self):
        """Pooled ids are drawn: 63 bits, none twice, in no order."""
        store = self.open()
        ids = [self.pooled(store) for _ in range(64)]
        self.assertEqual(len(set(ids)), 64)
        self.assertNotEqual(ids, sorted(ids))
        self.assertTrue(all(0 <= n < 2**63 for n in ids))
        self.assertTrue(any(n >= 2**61 for n in ids))

    def test_same_ids_drawn(self):
        """A generator that repeats itself overwrites nothing."""

        class Same:
            def octets(self, n: int) -> bytes:
                return b"\xff" * n

        store = self.open()
        store._random = Same()  # type: ignore[assignment]
        ids = [self.pooled(store, b"%d" % n, due_ms=9 - n) for n in range(3)]
        self.assertEqual(self.result(store.read(ids)), [b"0", b"1", b"2"])

    def test_replay(self):
        """A tag is new once for its key: in a batch, later, and after a reopening."""
        store = self.open()
        pooled = Pooled(NODE, 1, b"record")
        ids = self.results([store.take_in(b"packet") for _ in range(5)])
        first = self.result(
            store.unwrapped([Step(ids[0], 1, TAG, pooled), Step(ids[1], 1, TAG, pooled)])
        )
        self.assertIsInstance(first[0], int)
        self.assertIs(first[1], REPLAY)
        self.assertEqual(self.result(store.unwrapped([Step(ids[2], 1, TAG, pooled)])), [REPLAY])
        self.result(store.close())
        store = self.open()
        steps = [Step(ids[3], 1, TAG, pooled), Step(ids[4], 2, TAG, pooled)]
        third = self.result(store.unwrapped(steps))
        self.assertIs(third[0], REPLAY)
        self.assertIsInstance(third[1], int)
        counts = self.result(store.counts())
        self.assertEqual((counts.incoming, counts.pooled, counts.tags), (0, 2, 2))

    def test_dropped(self):
        """A step without a record leaves nothing but the tag it may have."""
        store = self.open()
        ids = self.results([store.take_in(b"packet") for _ in range(3)])
        steps = [Step(ids[0]), Step(ids[1], 1, TAG), Step(ids[2], 1, TAG)]
        self.assertEqual(self.result(store.unwrapped(steps)), [DROPPED, DROPPED, REPLAY])
        counts = self.result(store.counts())
        self.assertEqual((counts.incoming, counts.pooled, counts.tags), (0, 0, 1))

    def test_step_twice(self):
        """A packet whose step is done is not pooled again, not even under another tag."""
        store = self.open()
        incoming = self.result(store.take_in(b"packet"))
        pooled = Pooled(NODE, 1, b"record")
        self.result(store.unwrapped([Step(incoming, 1, TAG, pooled)]))
        again = store.unwrapped([Step(incoming, 1, b"u" * 16, pooled)])
        self.assertEqual(self.result(again), [GONE])
        self.assertEqual(self.result(store.counts()).tags, 1)

    def test_delete(self):
        """Deleted records are gone, their neighbours stay, and twice is no error."""
        store = self.open()
        ids = [self.pooled(store, b"%d" % n) for n in range(4)]
        self.result(store.delete(ids[1:3]))
        self.result(store.delete([ids[1], 12345]))
        self.assertEqual(self.result(store.read(ids)), [b"0", None, None, b"3"])
        self.assertEqual(self.result(store.counts()).pooled, 2)

    def test_drop_tags(self):
        """The tags of one key go, those of another stay, also within one transaction."""
        store = self.open()
        ids = self.results([store.take_in(b"packet") for _ in range(5)])
        steps = [Step(ids[0], 1, TAG), Step(ids[1], 2, TAG)]
        self.result(store.unwrapped(steps))
        _, again, _ = self.results(
            [
                store.drop_tags(1),
                store.unwrapped([Step(ids[2], 1, TAG), Step(ids[3], 2, TAG)]),
                store.drop_tags(99),
            ]
        )
        self.assertEqual(again, [DROPPED, REPLAY])
        self.result(store.close())
        store = self.open()
        self.assertEqual(self.result(store.unwrapped([Step(ids[4], 1, TAG)])), [REPLAY])
        self.assertEqual(self.result(store.waiting()).tag_keys, [1, 2])

    def test_one_commit(self):
        """What is queued together is one transaction."""
        store = self.open()
        before = transactions(store)
        self.results([store.take_in(b"packet") for _ in range(100)])
        self.assertEqual(transactions(store), before + 1)

    def test_in_order(self):
        """What is queued first is done first, so that later operations see it."""
        store = self.open()
        record = self.pooled(store, b"record")
        taken, read, _, gone = self.results(
            [
                store.take_in(b"packet"),
                store.read([record]),
                store.delete([record]),
                store.read([record]),
            ]
        )
        self.assertEqual((read, gone), ([b"record"], [None]))
        self.assertEqual(self.result(store.read_incoming([taken])), [b"packet"])


class EndTests(StoreCase):
    """Closing."""

    def test_close_does_what_is_queued(self):
        """Operations asked before the close are done, those asked after it fail."""
        store = self.open()
        before = store.take_in(b"packet")
        closed = store.close()
        after = store.take_in(b"packet")
        self.clock.advance(0)
        self.successResultOf(closed)
        self.successResultOf(before)
        self.failureResultOf(after, StoreClosed)
        self.assertEqual(len(self.result(self.open().waiting()).incoming), 1)


class FullTests(StoreCase):
    """A full store refuses and drains."""

    def fill(self, store: Store) -> list[int]:
        ids: list[int] = []
        refused: list[object] = []
        while not refused:
            self.results(
                [
                    store.take_in(os.urandom(PACKET)).addCallbacks(ids.append, refused.append)
                    for _ in range(8)
                ]
            )
        return ids

    def test_refused_in_time(self):
        """Intake ends before the map does, and padding is refused with it."""
        store = self.open()
        ids = self.fill(store)
        counts = self.result(store.counts())
        self.assertEqual(counts.incoming, len(ids))
        self.assertLess(counts.used, MAP * 0.85)
        self.assertGreater(counts.used, MAP * 0.6)
        padding = store.barrier(PACKET)
        self.clock.advance(0)
        failure = self.failureResultOf(padding, StoreFull)
        self.assertIn("full", render(failure.value))

    def test_drains_to_zero(self):
        """A full store unwraps, hands out and deletes all it has, and takes in again."""
        store = self.open()
        ids = self.fill(store)
        records: list[int] = []
        for start in range(0, len(ids), 16):
            steps = [
                Step(n, 1, os.urandom(16), Pooled(NODE, 1, bytes(PACKET)))
                for n in ids[start : start + 16]
            ]
            records += [v for v in self.result(store.unwrapped(steps)) if isinstance(v, int)]
        self.assertEqual(len(records), len(ids))
        for record in records:
            self.assertEqual(self.result(store.read([record])), [bytes(PACKET)])
            self.result(store.delete([record]))
        counts = self.result(store.counts())
        self.assertEqual((counts.incoming, counts.pooled), (0, 0))
        self.result(store.barrier(PACKET))
        self.result(store.take_in(bytes(PACKET)))

    def test_no_room_for_a_group(self):
        """A group too large for what is left fails one by one: what has room is done."""
        store = self.open()
        ids = self.fill(store)

        def steps(which: list[int]) -> list[Step]:
            return [Step(n, 1, os.urandom(16), Pooled(NODE, 1, bytes(PACKET))) for n in which]

        first = store.unwrapped(steps(ids[:16]))
        too_many = store.unwrapped(steps(ids[16:-16]))
        last = store.unwrapped(steps(ids[-16:]))
        self.clock.advance(0)
        self.failureResultOf(too_many, StoreError)
        done = self.successResultOf(first) + self.successResultOf(last)
        ids_pooled = [verdict for verdict in done if isinstance(verdict, int)]
        self.assertEqual(self.result(store.read(ids_pooled)), [bytes(PACKET)] * 32)
        counts = self.result(store.counts())
        self.assertEqual((counts.pooled, counts.incoming, counts.tags), (32, len(ids) - 32, 32))

    def test_file_system_reserve(self):
        """Intake ends when the file system has no more to give than its reserve."""
        store = self.open(free_reserve=2**60)
        refused = store.take_in(bytes(PACKET))
        self.clock.advance(0)
        self.failureResultOf(refused, StoreFull)


def transactions(store: Store) -> int:
    environment = store._spool._environment
    assert environment is not None
    return environment.info()["last_txnid"]
