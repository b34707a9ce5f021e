"""Connections are counted by prefix and in all."""

from __future__ import annotations

from mixminion.net.admission import Admission, prefix_of
from mixminion.net.errors import NotWanted, TooManyConnections
from mixminion.testing.cases import SyncTestCase


class PrefixTests(SyncTestCase):
    def test_ipv4_by_address(self) -> None:
        """Neighbours in a /24 are counted apart."""
        self.assertNotEqual(prefix_of("192.0.2.1"), prefix_of("192.0.2.2"))
        self.assertEqual(prefix_of("192.0.2.1"), prefix_of("192.0.2.1"))

    def test_ipv6_by_64(self) -> None:
        """A /64 is one subscriber."""
        self.assertEqual(prefix_of("2001:db8::1"), prefix_of("2001:db8::ffff:1"))
        self.assertNotEqual(prefix_of("2001:db8::1"), prefix_of("2001:db8:0:1::1"))
        self.assertEqual(prefix_of("fe80::1%eth0"), prefix_of("fe80::2"))

    def test_mapped(self) -> None:
        """``::ffff:a.b.c.d`` is the IPv4 address, not one /64 of all IPv4."""
        self.assertEqual(prefix_of("::ffff:192.0.2.1"), prefix_of("192.0.2.1"))
        self.assertNotEqual(prefix_of("::ffff:192.0.2.1"), prefix_of("::ffff:192.0.2.2"))

    def test_no_address(self) -> None:
        """What has no IP address has no prefix."""
        for host in (None, "", "example.onion", "/run/socket"):
            self.assertIsNone(prefix_of(host))


class AdmissionTests(SyncTestCase):
    def test_per_prefix(self) -> None:
        """A prefix has its cap, others are not touched by it, and who leaves makes room."""
        admission = Admission(per_prefix=2, total=10)
        here, there = prefix_of("192.0.2.1"), prefix_of("2001:db8::1")
        admission.enter(here)
        admission.enter(here)
        with self.assertRaises(TooManyConnections) as caught:
            admission.enter(here)
        self.assertEqual(caught.exception.fields, {"limit": "prefix"})
        admission.enter(there)
        admission.leave(here)
        admission.enter(here)
        self.assertEqual(admission.count, 3)

    def test_wanted(self) -> None:
        """Who is not wanted is told apart by the address, and is not counted."""
        admission = Admission(wanted=lambda host: not host.startswith("192.0.2."))
        self.assertRaises(NotWanted, admission.check, "192.0.2.7")
        admission.check("198.51.100.7")
        admission.check(None)
        self.assertEqual(admission.count, 0)

    def test_total(self) -> None:
        """All together have a cap; connections without a prefix count in it."""
        admission = Admission(per_prefix=2, total=4)
        for number in range(3):
            admission.enter(prefix_of(f"192.0.2.{number}"))
        self.assertTrue(admission.crowded)
        admission.enter(None)
        with self.assertRaises(TooManyConnections) as caught:
            admission.enter(None)
        self.assertEqual(caught.exception.fields, {"limit": "total"})
        admission.leave(None)
        admission.leave(prefix_of("192.0.2.0"))
        self.assertFalse(admission.crowded)
        admission.enter(None)
