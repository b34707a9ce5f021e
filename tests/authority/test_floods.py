"""Allowances per prefix."""

from __future__ import annotations

from ipaddress import IPv4Address

from mixminion.authority import floods
from mixminion.authority.floods import Allowance
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock

ONE, TWO = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")


class AllowanceTests(SyncTestCase):
    def setUp(self) -> None:
        self.clock = HeapClock()
        self.allowance = Allowance(self.clock, 3, 60.0)

    def take(self, *prefixes: IPv4Address | None) -> list[bool]:
        return [self.allowance.take(each) for each in prefixes]

    def test_each_its_own(self):
        """Three at once for each; one more after a third of the time, and never more than three."""
        self.assertEqual(self.take(ONE, ONE, ONE, ONE, TWO), [True, True, True, False, True])
        self.clock.advance(20)
        self.assertEqual(self.take(ONE, ONE), [True, False])
        self.clock.advance(6000)
        self.assertEqual(self.take(ONE, ONE, ONE, ONE), [True, True, True, False])

    def test_no_address(self):
        """Peers without an address share one."""
        self.assertEqual(self.take(None, None, None, None), [True, True, True, False])

    def test_memory(self):
        """Only so many prefixes are remembered, the busiest among them."""
        self.patch(floods, "MOST", 10)
        for n in range(50):
            self.take(IPv4Address(n), ONE)
        self.assertLessEqual(len(self.allowance._buckets), 10)
        self.assertFalse(self.allowance.take(ONE))

    def test_clock_back(self):
        """A clock that goes back gives nothing and takes nothing."""
        self.take(ONE)
        self.allowance._clock = HeapClock(self.clock.seconds() - 9999)
        self.assertEqual(self.take(ONE, ONE, ONE), [True, True, False])
