"""What is held for whom, and the limits of that."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mixminion.exits.holdings import ALL_FULL, MAILBOX_FULL, Holding, Holdings, Limits
from mixminion.testing.cases import SyncTestCase

LIMITS = Limits(messages=3, octets=100, total=250, expiry=50.0)
ALICE, BOB, CAROL = b"a" * 32, b"b" * 32, b"c" * 32


class HoldingsTests(SyncTestCase):
    def setUp(self) -> None:
        self.holdings = Holdings(LIMITS)

    def add(self, item: int, whose: bytes, octets: int, due: int) -> bool:
        return self.holdings.add(item, Holding(whose, f"<{item}@x>", octets, due))

    def test_order(self) -> None:
        """What left the pool first comes first; what is noted twice is held once."""
        for item, due in ((5, 30), (6, 10), (7, 20)):
            self.assertTrue(self.add(item, ALICE, 1, due))
        self.assertFalse(self.add(5, ALICE, 1, 1))
        self.assertFalse(self.holdings.add(8, Holding(ALICE, "<5@x>", 1, 1)))
        self.assertTrue(self.holdings.has("<5@x>"))
        self.assertEqual(self.holdings.of(ALICE), [(10, 6), (20, 7), (30, 5)])
        self.assertEqual(self.holdings.of(BOB), [])
        self.assertEqual(len(self.holdings), 3)

    def test_one_mailbox(self) -> None:
        """A mailbox has so many messages and octets; the others have as many as ever."""
        self.add(1, ALICE, 90, 0)
        self.assertIsNone(self.holdings.refusal(ALICE, 10))
        self.assertEqual(self.holdings.refusal(ALICE, 11), MAILBOX_FULL)
        self.add(2, ALICE, 1, 0)
        self.add(3, ALICE, 1, 0)
        self.assertEqual(self.holdings.refusal(ALICE, 1), MAILBOX_FULL)
        self.assertIsNone(self.holdings.refusal(BOB, 100))
        for _ in range(2):
            self.holdings.remove(2)
        self.assertIsNone(self.holdings.refusal(ALICE, 8))

    def test_all(self) -> None:
        """Full is full for whoever comes; nobody's are pushed out."""
        for item, whose in enumerate((ALICE, BOB), 1):
            self.add(item, whose, 100, 0)
        self.assertIsNone(self.holdings.refusal(CAROL, 50))
        self.assertEqual(self.holdings.refusal(CAROL, 51), ALL_FULL)
        self.assertEqual([len(self.holdings.of(each)) for each in (ALICE, BOB)], [1, 1])

    def test_expiry(self) -> None:
        """After its time an item is let go, not before."""
        self.add(1, ALICE, 1, 10)
        self.add(2, BOB, 1, 20)
        self.assertEqual(self.holdings.expire(59.9), [])
        self.assertEqual(self.holdings.expire(60.0), [1])
        self.assertEqual((self.holdings.of(ALICE), self.holdings.of(BOB)), ([], [(20, 2)]))

    def test_any_order(self) -> None:
        """However items come and go, the sums are those of a plain list."""
        items = st.tuples(
            st.integers(1, 9), st.sampled_from((ALICE, BOB)), st.integers(1, 99), st.integers(0, 9)
        )

        @given(st.lists(st.one_of(items, st.integers(1, 9))))
        def check(steps: list[tuple[int, bytes, int, int] | int]) -> None:
            holdings, plain = Holdings(LIMITS), dict[int, tuple[bytes, int, int]]()
            for step in steps:
                if isinstance(step, int):
                    holdings.remove(step)
                    plain.pop(step, None)
                else:
                    item, whose, octets, due = step
                    holding = Holding(whose, f"<{item}@x>", octets, due)
                    self.assertEqual(holdings.add(item, holding), item not in plain)
                    plain.setdefault(step[0], step[1:])
            total = sum(octets for _, octets, _ in plain.values())
            for whose in (ALICE, BOB):
                theirs = sorted((due, item) for item, (of, _, due) in plain.items() if of == whose)
                self.assertEqual(holdings.of(whose), theirs)
                octets = sum(size for of, size, _ in plain.values() if of == whose)
                full = len(theirs) >= LIMITS.messages or octets + 1 > LIMITS.octets
                expected = MAILBOX_FULL if theirs and full else None
                if expected is None and total + 1 > LIMITS.total:
                    expected = ALL_FULL
                self.assertEqual(holdings.refusal(whose, 1), expected)

        check()
