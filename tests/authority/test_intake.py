"""Descriptors taken in or refused: each rule, and the sentence that an operator reads."""

from __future__ import annotations

from typing import Any

from mixminion.authority import refusals
from mixminion.authority.refusals import Refused
from mixminion.directory.descriptor import PacketKey
from mixminion.directory.errors import BadDocument
from mixminion.directory.parts import Exit
from mixminion.errors import render
from mixminion.testing.directory import server_signer
from mixminion.util.hostport import HostPort
from tests.authority.kit import NOW, AuthorityCase, descriptor, identity, settings
from tests.directory.network import PERIOD, WEEK, consensus, packet_key, private_key, published

DAY = 86_400
FAR = {"valid_until": NOW + 60 * DAY}


def keys(name: str, *periods: int, suite: str = "xwing", length: int = 1216) -> Any:
    return tuple(PacketKey(period=p, suite=suite, key=packet_key(name, p, length)) for p in periods)


class TakenTests(AuthorityCase):
    def test_new(self):
        """A good descriptor is on the disk before it is told of, and told of once."""
        self.assertIsNone(self.offer("alice"))
        self.assertIsNone(self.offer("alice"))
        self.assertEqual([record.nickname for record in self.taken], ["alice"])
        held = self.record("alice").described
        assert held is not None
        self.assertEqual(self.register.get(held.digest), published("alice"))
        self.assertEqual(self.state("alice", "bob"), ["waiting", "unknown"])
        self.reached("alice")
        self.assertEqual(self.state("alice"), ["listed"])

    def test_newer(self):
        """A newer one takes its place; the old one is kept for a while, for votes that name it."""
        self.offer("alice")
        old = self.record("alice").described
        self.assertIsNone(self.offer("alice", published=NOW + 60, contact="me"))
        new = self.record("alice").described
        assert old is not None and new is not None
        self.assertEqual(new.said.contact, "me")
        self.assertIsNotNone(self.register.get(old.digest))
        self.clock.advance(4 * DAY)
        self.register.tidy()
        self.assertIsNone(self.register.get(old.digest))
        self.assertIsNotNone(self.register.get(new.digest))

    def test_moved(self):
        """New addresses are dialled anew; what was found at the old ones does not count."""
        self.offer("alice", 1)
        self.reached("alice")
        self.offer("alice", 2, published=NOW + 1)
        self.assertEqual(self.state("alice"), ["waiting"])
        self.assertEqual(self.record("alice").dials, {})

    def test_junk(self):
        """What is no descriptor raises, and leaves nothing."""
        for octets in (b"", b"{}", b"[" * 70_000, published("alice")[:-1], b'{"payload":""}'):
            self.failureResultOf(self.failing(octets), BadDocument)
        self.assertEqual(dict(self.register.records), {})

    def failing(self, octets: bytes) -> Any:
        from twisted.internet.defer import Deferred

        return Deferred.fromCoroutine(self.intake.offer(octets))


class RefusedTests(AuthorityCase):
    """Each refusal leaves what was held."""

    def refuse(self, code: str, *parts: str, name: str = "alice", **changes: Any) -> None:
        before = dict(self.register.records)
        octets = published(name, changes.pop("number", 1), **changes)
        self.refuse_octets(octets, code, *parts)
        self.assertEqual(dict(self.register.records), before)

    def refuse_octets(self, octets: bytes, code: str, *parts: str) -> None:
        judged = self.run_(self.intake.offer(octets))
        assert judged.refusal is not None
        self.assertEqual(judged.refusal.code, code)
        for part in parts:
            self.assertIn(part, render(judged.refusal))

    def test_every_sentence(self):
        """Every refusal there is has its own code and sentence."""
        kinds = Refused.__subclasses__()
        self.assertEqual(len({kind.code for kind in kinds}), len(kinds))
        self.assertEqual(len({kind.sentence for kind in kinds}), len(kinds))
        named = {kind for kind in vars(refusals).values() if isinstance(kind, type)}
        self.assertLessEqual(set(kinds), named)

    def test_signature(self):
        """Somebody else's signature; nothing is remembered of it."""
        signer = server_signer(private_key("mallory"), now=NOW)
        octets = descriptor("alice").sign(signer)
        self.refuse_octets(octets, "descriptor-not-signed", "another identity's", "certify")
        self.assertEqual(self.state("alice"), ["unknown"])

    def test_dates(self):
        """One that has ended, and one that begins later."""
        self.refuse("descriptor-ended", "ended at 2027-01-15T08:00:00Z",
                    valid_after=NOW - 9, published=NOW - 9, valid_until=NOW)  # fmt: skip
        self.refuse("descriptor-early", "begins only at 2027-01-15T08:01:00Z",
                    valid_after=NOW + 60)  # fmt: skip

    def test_certificate(self):
        """A signing key whose certificate has ended."""
        octets = published("alice", valid_until=NOW + 200 * DAY)
        self.clock.advance(61 * DAY)
        self.refuse_octets(octets, "descriptor-ended", "ended at 2027-03-16T08:00:00Z")

    def test_clock(self):
        """A clock that is ahead; five minutes are borne."""
        self.refuse("descriptor-from-the-future", "6 minutes from now", published=NOW + 400)
        self.assertIsNone(self.offer("alice", published=NOW + 300))

    def test_names(self):
        """A name is bound to who had it first, in any case of letters, and the other way round."""
        self.offer("alice")
        self.refuse("nickname-taken", "ALICE belongs to another", identity("alice").hex()[:8],
                    name="bob", number=2, nickname="ALICE")  # fmt: skip
        self.refuse("nickname-changed", "known as alice",
                    nickname="carol", published=NOW + 1)  # fmt: skip

    def test_restored(self):
        """A lower start than was published."""
        self.offer("alice", start=3)
        self.refuse("restored-or-cloned", "start 2, and start 3", start=2, published=NOW + 9)

    def test_older(self):
        """An old descriptor, whoever sends it again."""
        self.offer("alice", published=NOW + 60)
        self.refuse("descriptor-older", "2027-01-15T08:00:00Z, before the one of 2027-01-15T08:01")

    def test_two(self):
        """Two of one second."""
        self.offer("alice")
        self.refuse("two-descriptors", "seems to run twice", contact="other")

    def test_keys(self):
        """Packet keys that were published change with the start only; further ones may come."""
        self.offer("alice", packet_keys=keys("alice", PERIOD, PERIOD + 1))
        other = keys("bob", PERIOD + 1, PERIOD + 2)
        self.refuse("packet-key-changed", f"period {PERIOD + 1} was", packet_keys=other,
                    published=NOW + 1)  # fmt: skip
        further = keys("alice", PERIOD + 1, PERIOD + 2)
        self.assertIsNone(self.offer("alice", packet_keys=further, published=NOW + 2))
        self.assertIsNone(self.offer("alice", packet_keys=other, published=NOW + 3, start=2))

    def test_keys_of_another_suite(self):
        """A period that has not begun may be given another suite, and then needs another key."""
        self.offer("alice", packet_keys=keys("alice", PERIOD, PERIOD + 1))
        self.settings = settings(suite_from=f"x25519 {PERIOD + 1}")
        change = keys("alice", PERIOD + 1, suite="x25519", length=32)
        now = keys("alice", PERIOD, suite="x25519", length=32)
        self.refuse("packet-key-changed", f"period {PERIOD} was", packet_keys=now + change,
                    published=NOW + 1)  # fmt: skip
        both = keys("alice", PERIOD) + change
        self.assertIsNone(self.offer("alice", packet_keys=both, published=NOW + 2))

    def test_keys_of_listed_periods(self):
        """What the newest consensus lists counts before what is configured: a suite that is named
        too late, and numbers of periods whose length has changed."""
        self.settings = settings(suite_from=f"x25519 {PERIOD}", key_period="1 day")
        classical = keys("alice", PERIOD, suite="x25519", length=32)
        self.refuse("packet-keys-not-published", packet_keys=classical)
        self.latest = consensus()
        self.refuse("packet-keys-not-published", f"suite xwing for key period {PERIOD}",
                    packet_keys=classical)  # fmt: skip
        self.assertIsNone(self.offer("alice", packet_keys=keys("alice", PERIOD)))

    def test_protocol(self):
        """One that speaks something else."""
        self.refuse("protocol-missing", "mmtp/2", protocols=("mmtp/9",))

    def test_no_keys(self):
        """No key of the network's suite for any period that is voted for."""
        part = f"suite xwing for key period {PERIOD}"
        self.refuse("packet-keys-not-published", part, packet_keys=())
        self.refuse("packet-keys-not-published", part, packet_keys=keys("alice", PERIOD + 3))
        classical = keys("alice", PERIOD, suite="x25519", length=32)
        self.refuse("packet-keys-not-published", part, packet_keys=classical)
        self.settings = settings(suite_from=f"x25519 {PERIOD + 1}")
        ahead = keys("alice", PERIOD + 1, suite="x25519", length=32)
        self.assertIsNone(self.offer("alice", packet_keys=ahead))

    def test_private_address(self):
        """Addresses that only one site can reach, unless it is a test network."""
        self.settings = settings(test_network="no")
        self.refuse("address-not-public", "127.1.0.1:48099")
        two = (HostPort("8.8.8.8", 1), HostPort("fd00::1", 1))
        self.refuse("address-not-public", "[fd00::1]:1", addresses=two)
        self.assertIsNone(self.offer("alice", addresses=two[:1]))

    def test_operators(self):
        """So many of one family, so many of one contact; their updates go through."""
        self.settings = settings(servers_per_operator="2")
        for number, name in enumerate(("a", "b"), 1):
            self.assertIsNone(self.offer(name, number, family="Fam", contact="me@x"))
        self.refuse("too-many-of-operator", "2 servers of one operator", "family fam",
                    name="c", number=3, family="fam")  # fmt: skip
        self.refuse("too-many-of-operator", "contact me@x", name="c", number=3, contact=" ME@x ")
        self.assertIsNone(self.offer("b", 2, family="Fam", contact="me@x", published=NOW + 1))
        self.assertIsNone(self.offer("c", 3))
        self.refuse("too-many-of-operator", name="c", number=3, family="fam", published=NOW + 1)

    def test_networks(self):
        """So many in one /16, or in one /32 of IPv6; a banned one takes no place."""
        self.settings = settings(servers_per_network="2")
        self.offer("a", addresses=(HostPort("127.1.1.1", 1),))
        self.offer("b", addresses=(HostPort("127.1.2.1", 1),))
        self.refuse("too-many-of-network", "127.1.0.0/16", name="c", number=1)
        six = [HostPort(f"2001:db8:{n}::1", 1) for n in range(1, 4)]
        self.offer("d", addresses=(six[0],))
        self.offer("e", addresses=(six[1],))
        self.refuse("too-many-of-network", "2001:db8::/32", name="c", addresses=(six[2],))
        self.run_(self.register.decide(identity("a"), self.decision("banned")))
        self.assertIsNone(self.offer("c", 1))

    @staticmethod
    def decision(word: str) -> Any:
        from mixminion.authority.records import Decision

        return Decision(word)

    def test_queue(self):
        """No more newcomers than may wait; who is listed waits no more."""
        self.settings = settings(most_waiting="2", policy="manual")
        self.offer("a", 1)
        self.offer("b", 2)
        self.refuse("too-many-waiting", "2 new servers wait", name="c", number=3)
        self.register.listed([identity("a")], NOW)
        self.assertIsNone(self.offer("c", 3))

    def test_exits(self):
        """New servers are no exits, unless they were approved so; drop harms nobody."""
        self.settings = settings(exit_waiting_time="30 days")
        drop = (Exit(name="drop", module="drop", max_message=1),)
        self.refuse("exit-too-early", "offers smtp", "until it has been listed for 30 days")
        self.assertIsNone(self.offer("alice", exits=drop))
        self.register.listed([identity("alice")], NOW)
        self.refuse("exit-too-early", "until 2027-02-14T08:00:00Z", published=NOW + 1)
        self.run_(self.register.decide(identity("bob"), self.decision("approved"), exit=True))
        self.assertIsNone(self.offer("bob", 2))
        self.clock.advance(30 * DAY)
        kept = {"published": NOW + 30 * DAY, **FAR}
        later = keys("alice", PERIOD + 5)
        self.assertIsNone(self.offer("alice", packet_keys=later, **kept))

    def test_turned_away(self):
        """Banned and rejected ones hear what the operator said."""
        for word in ("banned", "rejected"):
            self.run_(self.register.decide(identity("alice"), self.decision(word), note="spam"))
            self.refuse("turned-away", "(spam): ask him why")

    def test_remembered(self):
        """Who asks later hears why, until something better comes."""
        self.refuse("protocol-missing", protocols=("mmtp/9",))
        found, _ = self.intake.standing(identity("alice"))
        self.assertEqual(str(found.state), "refused")
        self.assertIn("does not speak mmtp/2", found.reason)
        self.assertEqual([each.nickname for each in self.intake.refused], ["alice"])
        self.offer("alice")
        self.assertEqual(self.state("alice"), ["waiting"])
        self.assertEqual(self.intake.refused, [])

    def test_at_one_time(self):
        """Two that want one name at the same moment: one has it."""
        from twisted.internet.defer import Deferred

        octets = [published(name, n, nickname="same") for n, name in enumerate(("a", "b"), 1)]
        offers = [Deferred.fromCoroutine(self.intake.offer(each)) for each in octets]
        judged = [self.clock.result_of(each) for each in offers]
        self.assertEqual([each.refusal is None for each in judged], [True, False])


class PeriodTests(AuthorityCase):
    def test_short(self):
        """Key periods are those that the network's parameters make."""
        self.settings = settings("[Log]\n")
        self.assertEqual(int(NOW // self.settings.network.parameters().key_period), PERIOD)
        self.assertEqual(self.settings.network.parameters().key_period, WEEK)
