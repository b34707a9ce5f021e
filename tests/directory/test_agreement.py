"""How single members are counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mixminion.directory.agreement import agreed, low_median, majority, most, named_by
from mixminion.testing.cases import SyncTestCase


class CountTests(SyncTestCase):
    """Each rule, worked."""

    def test_majority(self):
        """More than half of all, each named once."""
        found = [majority([bytes([i]) for i in range(n)]) for n in range(1, 8)]
        self.assertEqual(found, [1, 2, 2, 3, 3, 4, 4])
        self.assertEqual(majority([b"a", b"a", b"b"]), 2)

    def test_low_median(self):
        """The middle one, of two the lower."""
        for values, expected in (([7], 7), ([9, 1], 1), ([3, 1, 2], 2), ([4, 3, 2, 1], 2)):
            self.assertEqual(low_median(values), expected)

    def test_most(self):
        """The most frequent; of several the one whose tie is least."""
        self.assertEqual(most([3, 2, 3, 1], lambda value: value), 3)
        self.assertEqual(most([3, 2, 3, 2], lambda value: value), 2)
        self.assertEqual(most([3, 2, 3, 2], lambda value: -value), 3)

    def test_named_by(self):
        """What enough lists name; twice in one list is once."""
        lists = [["a", "b", "b"], ["a"], ["c"]]
        self.assertEqual(named_by(lists, 2), {"a"})
        self.assertEqual(agreed(["x", "y", "x"], 2), "x")
        self.assertIsNone(agreed(["x", "y", "z"], 2))

    @given(st.lists(st.integers(0, 9), max_size=3), st.integers(), st.integers(0, 3))
    def test_the_rest_changes_nothing(self, others, value, more):
        """A value that is more than half of all is the low median, whatever the others are; and
        where those who are more differ, it is at least one of theirs."""
        own = [value + n for n in range(len(others) + 1 + more)]
        self.assertEqual(low_median([*others, *[value] * len(own)]), value)
        self.assertTrue(min(own) <= low_median([*others, *own]) <= max(own))
