"""Servers that may not stand together."""

from __future__ import annotations

from mixminion.directory.parts import Rule as LinkRule
from mixminion.paths.constraints import Breach, Rule, breaches, links, network, open_to_all
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort
from tests.directory.network import server


def at(*hosts: str) -> tuple[HostPort, ...]:
    return tuple(HostPort(host, 48099) for host in hosts)


class NetworkTests(SyncTestCase):
    """What counts as one network."""

    def test_networks(self):
        """/16 for IPv4, /32 for IPv6, a name for itself."""
        for one, other, same in (
            ("127.1.0.1", "127.1.255.9", True),
            ("127.1.0.1", "127.2.0.1", False),
            ("2001:db8:1::1", "2001:db8:ffff::1", True),
            ("2001:db8::1", "2001:db9::1", False),
            ("a.example", "b.example", False),
            ("a.example", "a.example", True),
        ):
            found = [network(place) for place in at(one, other)]
            self.assertEqual(found[0] == found[1], same, (one, other))

    def test_versions(self):
        """An IPv4 network is never an IPv6 one of the same octets."""
        one, other = at("32.1.0.1", "2001::1")
        self.assertNotEqual(network(one), network(other))


class BreachTests(SyncTestCase):
    """Rules that a path breaks."""

    def test_none(self):
        """Four servers of four families, networks and countries."""
        path = [
            server(f"s{i}", i, family=f"f{i}", jurisdiction=place)
            for i, place in enumerate(("de", "de", "fr", "nl"), 1)
        ]
        self.assertEqual(list(breaches(path)), [])

    def test_families(self):
        """One family in any case of letters; servers without one are no family."""
        path = [server("a", 1, family="Borg"), server("b", 2), server("c", 3, family="BORG")]
        self.assertEqual(list(breaches(path)), [Breach(Rule.FAMILY, (0, 2))])
        self.assertEqual(list(breaches([server("a", 1), server("b", 2)])), [])

    def test_networks(self):
        """One of two addresses in the same network is enough."""
        path = [
            server("a", addresses=at("192.0.2.1", "2001:db8::1")),
            server("b", addresses=at("198.51.100.1", "2001:db8::2")),
        ]
        self.assertEqual(list(breaches(path)), [Breach(Rule.NETWORK, (0, 1))])

    def test_jurisdictions(self):
        """All in one country, if all say where they are."""
        here = [server("a", 1, jurisdiction="de"), server("b", 2, jurisdiction="de")]
        self.assertEqual(list(breaches(here)), [Breach(Rule.JURISDICTION, (0, 1))])
        self.assertEqual(list(breaches([*here, server("c", 3)])), [])
        self.assertEqual(list(breaches([server("a", 1), server("b", 2)])), [])

    def test_links(self):
        """Only hops that follow each other must link, in the path's direction."""
        shy = server("a", 1, dials=(LinkRule(allow=False, network="127.2.0.0/16"),))
        bob, carol = server("b", 2), server("c", 3)
        self.assertEqual(list(breaches([shy, bob, carol])), [Breach(Rule.LINK, (0, 1))])
        self.assertEqual(list(breaches([shy, carol, bob])), [])
        self.assertEqual(list(breaches([bob, shy, carol])), [])

    def test_either_side(self):
        """Who does not take links is not dialled; one common address is enough."""
        closed = server("b", 2, accepts=(LinkRule(allow=False, network="0.0.0.0/0"),))
        four, both = server("a", 1), server("c", addresses=at("127.3.0.1", "2001:db8::1"))
        self.assertFalse(links(four, closed))
        self.assertTrue(links(both, closed))
        self.assertTrue(links(closed, four))

    def test_entry(self):
        """The first server takes links from everybody, over one version of IP at least."""
        four, six = (LinkRule(allow=False, network=each) for each in ("0.0.0.0/0", "::/0"))
        some = LinkRule(allow=False, network="198.51.100.0/24")
        both = at("127.3.0.1", "2001:db8::1")
        self.assertTrue(open_to_all(server("a", 1, accepts=(some, six))))
        self.assertFalse(open_to_all(server("a", 1, accepts=(some, four))))
        self.assertTrue(open_to_all(server("a", accepts=(four,), addresses=both)))
        self.assertFalse(open_to_all(server("a", accepts=(four, six), addresses=both)))
        bob = server("b", 2)
        friends = server("a", 1, accepts=(LinkRule(allow=True, network="127.2.0.0/16"), four))
        self.assertEqual(list(breaches([friends, bob])), [Breach(Rule.ENTRY, (0,))])
        self.assertEqual(list(breaches([bob, friends])), [])
