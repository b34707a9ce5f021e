"""Exits, link rules and addresses."""

from __future__ import annotations

from ipaddress import IPv6Address
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.directory.consensus import Consensus, Server
from mixminion.directory.descriptor import Descriptor
from mixminion.directory.parts import Exit, Rule, allowed, check_addresses, check_exits, is_public
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort
from tests.directory.network import NOW, consensus, descriptor, published


class ExitTests(SyncTestCase):
    """What exits publish."""

    def test_described(self):
        """An exit's own description becomes its entry; what is not common to all is policy."""
        made = Exit.described("mail", {"module": "smtp", "max-message": 5, "from": ["name"]})
        expected = Exit(name="mail", module="smtp", max_message=5, policy={"from": ["name"]})
        self.assertEqual(made, expected)

    def test_names(self):
        """Two exits of a server have two names."""
        one = Exit(name="mail", module="smtp", max_message=5)
        check_exits([one, Exit(name="mail2", module="smtp", max_message=5)])
        self.assertRaises(ValueError, check_exits, [one, one])

    def test_policy_depth(self):
        """What an exit publishes can stand in a descriptor and in a consensus as well."""
        for policy, fine in (
            ({"a": [[]]}, True),
            ({"a": {"b": {"c": "d"}}}, True),
            ({"a": [{"b": []}]}, False),
            ({"a": {"b": {"c": {}}}}, False),
        ):
            exits = (Exit("smtp", "smtp", 9, policy),)
            if not fine:
                self.assertRaises(ValueError, check_exits, exits)
                self.assertRaises(ValueError, descriptor, "alice", exits=exits)
                continue
            made = Descriptor.verify(published("alice", exits=exits), NOW)
            listed = Server.listed(made, bytes(32), usable_from=0)
            octets = consensus([listed]).sign([])
            self.assertEqual(Consensus.open(octets)[0].servers[0].exits, exits)


class RuleTests(SyncTestCase):
    """Which addresses a server links with."""

    def test_first_match(self):
        """The first rule that covers an address decides; without one it is allowed."""
        rules = [
            Rule(allow=True, network="192.0.2.128/25"),
            Rule(allow=False, network="192.0.2.0/24"),
            Rule(allow=False, network="2001:db8::/32"),
        ]
        for host, expected in (
            ("192.0.2.200", True),
            ("192.0.2.1", False),
            ("192.0.3.1", True),
            ("2001:db8::1", False),
            ("2001:db9::1", True),
            ("mix.example", True),
        ):
            self.assertEqual(allowed(rules, HostPort(host, 1)), expected, host)

    def test_form(self):
        """Networks have one form: host bits zero, IPv6 compressed."""
        for network in ("192.0.2.1/24", "192.0.2.0", "2001:DB8::/32", "all", ""):
            self.assertRaises(ValueError, Rule, allow=True, network=network)


class AddressTests(SyncTestCase):
    """Published addresses."""

    def test_good(self):
        """IPv4, IPv6 and names."""
        check_addresses([HostPort("192.0.2.1", 1), HostPort("2001:db8::1", 1), HostPort("a.b", 1)])

    def test_bad(self):
        """No port, not canonical, no host, twice."""
        one = HostPort("192.0.2.1", 1)
        for places in (
            [HostPort("192.0.2.1", 0)],
            [HostPort("192.0.2.1", 65_536)],
            [HostPort("192.0.2.1", -1)],
            [HostPort("2001:0db8::1", 1)],
            [HostPort("A.example", 1)],
            [HostPort("", 1)],
            [HostPort("a:1", 1)],
            [HostPort("::ffff:102:304", 1)],
            [HostPort("::ffff:1.2.3.4", 1)],
            [one, one],
        ):
            self.assertRaises(ValueError, check_addresses, places)

    @settings(max_examples=2000)
    @given(
        st.lists(
            st.one_of(
                st.sampled_from(
                    ["", "", "0", "1", "ffff", "0db8", "DB8", "2001", "abcde", "1.2.3.4"]
                ),
                st.integers(0, 0xFFFF).map("{:x}".format),
            ),
            min_size=2,
            max_size=9,
        ),
        st.sampled_from([":", ":", ":", "."]),
    )
    def test_quick(self, groups, separator):
        """Whatever passes the quick look is written as it must be."""
        place = HostPort(separator.join(groups), 1)
        try:
            check_addresses([place])
        except ValueError:
            return
        self.assertEqual(HostPort.parse(str(place)), place)
        if isinstance(place.address, IPv6Address):
            self.assertIsNone(place.address.ipv4_mapped)

    def test_quick_finds(self):
        """And most addresses of either kind do."""
        for host in ("192.0.2.1", "255.255.255.255", "2001:db8::1", "2a01:4f8:c0c:1::2", "fe80::"):
            with patch.object(HostPort, "parse", side_effect=AssertionError):
                check_addresses([HostPort(host, 48099)])

    def test_public(self):
        """Private, shared, link-local, loopback and multicast addresses are not public."""
        for host, public in (
            ("9.9.9.9", True),
            ("0.0.0.0", False),
            ("10.255.255.255", False),
            ("11.0.0.0", True),
            ("100.64.0.1", False),
            ("127.1.0.1", False),
            ("169.254.1.1", False),
            ("172.31.255.255", False),
            ("172.32.0.0", True),
            ("192.168.1.1", False),
            ("224.0.0.1", False),
            ("255.255.255.255", False),
            ("2620:fe::fe", True),
            ("3fff::1", True),
            ("::1", False),
            ("fc00::1", False),
            ("fe80::1", False),
            ("ff02::1", False),
            ("mix.example", True),
        ):
            self.assertEqual(is_public(HostPort(host, 1)), public, host)
