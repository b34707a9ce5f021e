"""Where servers stand: waiting, approved, banned, unreachable, and for how long they are known."""

from __future__ import annotations

from mixminion.authority.admission import FAILURES, admitted, forgettable, standing
from mixminion.authority.records import Decision, Dialled, Record, network_of
from mixminion.util.hostport import HostPort
from tests.authority.kit import NOW, AuthorityCase, identity, settings

DAY = 86_400


class StandingTests(AuthorityCase):
    def reason(self, name: str = "alice") -> str:
        return self.intake.standing(identity(name))[0].reason

    def decide(self, word: str, name: str = "alice", **more: object) -> None:
        work = self.register.decide(identity(name), Decision(word), **more)  # type: ignore[arg-type]
        self.run_(work)

    def test_manual(self):
        """A newcomer waits for the operator, who lets it in, or does not, or bans it."""
        self.settings = settings(policy="manual")
        self.offer("alice")
        self.reached("alice")
        self.assertEqual(self.state("alice"), ["waiting"])
        self.assertIn("approval of this authority's operator", self.reason())
        for word, state, part in [
            ("approved", "listed", "in this authority's vote"),
            ("rejected", "refused", "does not list this server: ask him"),
            ("banned", "banned", "has banned this server: ask him"),
            ("none", "waiting", "approval"),
        ]:
            self.decide(word)
            self.assertEqual(self.state("alice"), [state])
            self.assertIn(part, self.reason())
        self.decide("banned", note="sends spam")
        self.assertIn("banned this server (sends spam)", self.reason())

    def test_approved_before(self):
        """One that was approved before it was seen is listed when it comes."""
        self.settings = settings(policy="manual")
        self.decide("approved")
        self.assertEqual(self.state("alice"), ["unknown"])
        self.offer("alice")
        self.reached("alice")
        self.assertEqual(self.state("alice"), ["listed"])

    def test_open(self):
        """With an open policy it waits for a time only; who was listed once waits no more."""
        self.settings = settings(waiting_time="3 days")
        self.offer("alice")
        self.reached("alice")
        self.assertEqual(self.state("alice"), ["waiting"])
        self.assertIn("until 2027-01-18T08:00:00Z", self.reason())
        self.clock.advance(3 * DAY - 1)
        self.assertEqual(self.state("alice"), ["waiting"])
        self.clock.advance(1)
        self.assertEqual(self.state("alice"), ["listed"])
        self.register.listed([identity("alice")], NOW)
        self.settings = settings(policy="manual")
        self.assertEqual(self.state("alice"), ["listed"])

    def test_dials(self):
        """Listed when every address answers; one failure is enough for a new one, three in a row
        for one that was reachable."""
        self.offer("alice", addresses=(HostPort("127.1.0.1", 1), HostPort("127.1.0.2", 2)))
        self.assertEqual(self.state("alice"), ["waiting"])
        self.assertIn("127.1.0.1:1 has not been dialled yet", self.reason())
        who = identity("alice")
        self.register.dialled(who, "127.1.0.1:1", Dialled(0, NOW, NOW))
        self.register.dialled(who, "127.1.0.2:2", Dialled(1, NOW, None, "no connection"))
        self.assertEqual(self.state("alice"), ["unreachable"])
        self.assertIn("at 127.1.0.2:2: no connection", self.reason())
        for failures, state in [(FAILURES - 1, "listed"), (FAILURES, "unreachable")]:
            self.register.dialled(who, "127.1.0.2:2", Dialled(failures, NOW, NOW - 9, "x"))
            self.assertEqual(self.state("alice"), [state])

    def test_families(self):
        """Of addresses that this authority cannot dial it has no opinion."""
        self.settings = settings(dial_families="ipv4")
        self.offer("alice", addresses=(HostPort("127.1.0.1", 1), HostPort("::1", 2)))
        self.register.dialled(identity("alice"), "127.1.0.1:1", Dialled(0, NOW, NOW))
        self.assertEqual(self.state("alice"), ["listed"])

    def test_ended(self):
        """A descriptor that has run out is none; the reason says until when it was."""
        self.offer("alice", valid_until=NOW + DAY)
        self.reached("alice")
        self.clock.advance(DAY)
        self.assertEqual(self.state("alice"), ["unknown"])
        self.assertIn("until 2027-01-16T08:00:00Z", self.reason())

    def test_unused(self):
        """Listed and not used: the reason says so."""
        self.offer("alice", insecure=("classical",))
        self.reached("alice")
        self.assertIn("insecure modes are on (classical)", self.reason())
        self.offer("bob", addresses=())
        self.assertEqual(self.state("bob"), ["listed"])
        self.assertIn("no address", self.reason("bob"))

    def test_admitted(self):
        """The servers that are voted for."""
        self.offer("alice", 1)
        self.offer("bob", 2)
        self.reached("bob")
        found = admitted(self.register.records.values(), self.settings, NOW)
        self.assertEqual([record.nickname for record in found], ["bob"])

    def test_nobody(self):
        """Of whom nothing is known that is said."""
        self.assertIn("has to publish one here", standing(None, self.settings, NOW).reason)


class ForgettingTests(AuthorityCase):
    def test_how_long(self):
        """A newcomer for a tenth of the time of others; who is banned for ever."""
        limits = settings(forget_after="100 days").admission
        self.offer("alice", valid_until=NOW + DAY)
        new = self.record("alice")
        self.assertFalse(forgettable(new, limits, NOW + 11 * DAY - 1))
        self.assertTrue(forgettable(new, limits, NOW + 11 * DAY))
        self.register.listed([new.identity], NOW)
        self.assertFalse(forgettable(self.record("alice"), limits, NOW + 101 * DAY - 1))
        self.assertTrue(forgettable(self.record("alice"), limits, NOW + 101 * DAY))
        banned = Record(b"x" * 32, NOW, decision=Decision.BANNED)
        self.assertFalse(forgettable(banned, limits, NOW + 10_000 * DAY))


class NetworkTests(AuthorityCase):
    def test_networks(self):
        """A /16, a /32, and none for a name."""
        for host, network in [
            ("203.0.113.9", "203.0.0.0/16"),
            ("2001:db8:1:2::3", "2001:db8::/32"),
            ("mix.example", None),
        ]:
            self.assertEqual(network_of(HostPort(host, 1)), network)
