import json

from mixminion.directory.changes import Change, changes
from mixminion.directory.parameters import Parameters
from mixminion.directory.parts import Exit
from mixminion.directory.plain import plain
from mixminion.directory.vote import Recommended
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort
from tests.directory.network import NOW, PERIOD, consensus, identity, server


class ChangesTests(SyncTestCase):
    """From one consensus to the next."""

    def test_nothing(self):
        """Dates and the chain alone are no change."""
        servers = [server("alice"), server("bob", 2)]
        same = changes(consensus(servers), consensus(servers, valid_after=NOW + 60, gap=True))
        self.assertFalse(same)

    def test_servers(self):
        """Those that came and went, and what the others say differently, by nickname."""
        old = consensus([server("Zoe", 3), server("bob", 2), server("alice"), server("eve", 9)])
        new = consensus(
            [
                server("Zoe", 4, flags=()),
                server("bob", 2, reliability=990, usable_from=NOW + 60),
                server("eve", 9),
                server("dora", 7),
                server("Carol", 6),
            ]
        )
        found = changes(old, new)
        self.assertTrue(found)
        self.assertEqual([each.nickname for each in found.added], ["Carol", "dora"])
        self.assertEqual([each.nickname for each in found.removed], ["alice"])
        bob, zoe = found.changed
        self.assertEqual(bob.server.nickname, "bob")
        self.assertEqual(
            set(bob.changes),
            {
                Change("usable-from", "2027-01-15T08:00:00Z", "2027-01-15T08:01:00Z"),
                Change("reliability", None, 990),
            },
        )
        self.assertEqual(
            {each.member: (each.old, each.new) for each in zoe.changes},
            {
                "addresses": (["127.3.0.1:48099"], ["127.4.0.1:48099"]),
                "flags": (["usable"], None),
            },
        )
        self.assertEqual(found.parameters, ())
        self.assertEqual(  # other servers, other packet keys
            [each.member for each in found.others],
            [f"key-period-{PERIOD + n}/keys" for n in range(3)],
        )

    def test_network(self):
        """Parameters one by one; key periods and recommended releases as a whole."""
        servers = [server("alice")]
        old = consensus(servers)
        new = consensus(
            servers,
            parameters=Parameters(hops=3, mean_delay_ms=500),
            recommended=Recommended(clients=("1.0",)),
            key_periods=old.key_periods[:2],
            test_network=False,
        )
        found = changes(old, new)
        self.assertIn(Change("hops", 4, 3), found.parameters)
        self.assertNotIn("mean-delay-ms", [each.member for each in found.parameters])
        others = {each.member: (each.old, each.new) for each in found.others}
        gone = f"key-period-{PERIOD + 2}"
        self.assertEqual(
            {name for name in others if not name.startswith(gone)}, {"recommended", "test-network"}
        )
        self.assertEqual(others["recommended"], (None, {"clients": ["1.0"]}))
        self.assertEqual(others["test-network"], (True, False))
        self.assertEqual(others[f"{gone}/number"], (PERIOD + 2, None))


class PlainTests(SyncTestCase):
    """Documents as people read them."""

    def test_server(self):
        """Keys in hexadecimal, addresses and times as text; an exit's own words are its own."""
        policy = {"published": 5, "addresses": ["x"], "note": "begins"}
        found = plain(
            server(
                "alice",
                addresses=(HostPort("2001:db8::1", 48099), HostPort("a.example", 1)),
                exits=(Exit(name="smtp", module="smtp", max_message=5, policy=policy),),
            )
        )
        self.assertEqual(found["identity"], identity("alice").hex())
        self.assertEqual(found["addresses"], ["[2001:db8::1]:48099", "a.example:1"])
        self.assertEqual(found["usable-from"], "2027-01-15T08:00:00Z")
        self.assertEqual(found["exits"][0]["policy"], policy)
        self.assertEqual(json.loads(json.dumps(found)), found)
