"""Whole authorities on virtual time: they agree, are told something new, and start again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from mixminion.authority.desk import Desk
from mixminion.authority.figures import Figures, Report
from mixminion.authority.records import Decision
from mixminion.authority.server import AuthorityServer
from mixminion.counters import Counters
from mixminion.crypto import kdf
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.consensus import USABLE
from mixminion.net.alpn import link_factory
from mixminion.net.tls import server_tls
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from mixminion.testing.virtual_authorities import VirtualAuthorities, VirtualAuthority
from mixminion.testing.wire import MemoryNetwork
from tests.authority.kit import NOW, identity, published
from tests.authority.test_dialback import credentials
from tests.net.kit import Recorders

HOUR = 3600
DAY = 24 * HOUR


class VirtualCase(SyncTestCase):
    count = 3
    network = ""
    admission = ""

    def setUp(self) -> None:
        self.clock = HeapClock(NOW)
        self.wire = MemoryNetwork(self.clock, latency=0.01)
        self.authorities = VirtualAuthorities(
            self.clock, self.wire, Path(self.mktemp()), self.count, self.network, self.admission
        )
        self.authorities.start()

    def tearDown(self) -> None:
        self.authorities.stop()
        self.clock.advance(1000)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def listen(self, name: str, number: int) -> None:
        """The server *name*, where its descriptor says."""
        tls = server_tls(credentials(name, self.clock), [b"mmtp/2"], self.clock)
        factory = link_factory(tls, {b"mmtp/2": Recorders()}, self.clock, Counters())
        endpoint = self.wire.server(f"127.{number}.0.1", 48099)
        self.clock.result_of(endpoint.listen(factory))

    def held(self) -> list[SignedConsensus | None]:
        """What each serves."""
        return [each.server.cache.signed for each in self.running()]

    def running(self) -> list[Any]:
        return [each for each in self.authorities.all if each.server is not None]

    def agreed(self) -> SignedConsensus:
        """The one document that all that run serve, signed by enough, with its hash chain."""
        held = [each for each in self.held() if each is not None]
        self.assertEqual(len(held), len(self.running()))
        self.assertEqual(len({each.digest for each in held}), 1)
        verified = SignedConsensus.verify(
            held[0].octets, self.authorities.identities, self.clock.seconds()
        )
        self.assertEqual(verified.digest, held[0].digest)
        return verified

    def names(self) -> list[str]:
        """The servers of that document."""
        return sorted(each.nickname for each in self.agreed().consensus.servers)

    def tell(self, each: VirtualAuthority, figures: Figures | None = None, **changes: Any) -> None:
        """Reload one of them."""
        assert each.server is not None
        telling = each.server.tell(each.told(figures, **changes))
        self.clock.result_of(Deferred.fromCoroutine(telling))

    def server(self, number: int = 1) -> AuthorityServer:
        found = self.authorities.all[number - 1].server
        assert found is not None
        return found


class AgreeTests(VirtualCase):
    def test_servers(self):
        """A consensus every hour; a server is in the next one after it was published, and in
        use from the first on, or three intervals later."""
        self.listen("alice", 1)
        self.listen("bob", 2)
        states = [str(r.state) for r in self.authorities.publish(published("alice", 1))]
        self.assertEqual(states, ["waiting"] * 3)
        self.clock.advance(HOUR + 60)
        first = self.agreed()
        self.assertEqual(self.names(), ["alice"])
        (alice,) = first.consensus.servers
        self.assertEqual((alice.flags, alice.usable_from), ((USABLE,), NOW + HOUR))
        self.authorities.publish(published("bob", 2))
        self.clock.advance(HOUR)
        self.assertEqual(self.names(), ["alice", "bob"])
        second = self.agreed()
        self.assertEqual(second.consensus.previous, first.digest)
        bob = next(s for s in second.consensus.servers if s.nickname == "bob")
        self.assertEqual(bob.usable_from, NOW + 2 * HOUR + 3 * HOUR)
        receipts = self.authorities.publish(published("bob", 2))
        self.assertEqual([(str(r.state), r.listed) for r in receipts], [("listed", True)] * 3)
        for each in self.running():
            self.assertEqual(each.server.register.records[identity("bob")].first_listed,
                             NOW + 2 * HOUR)  # fmt: skip
        self.clock.advance(HOUR)
        shared = self.agreed().consensus.shared_random
        assert shared is not None
        self.assertIsNotNone(shared.value)
        self.assertEqual(len(shared.commitments), 3)

    def test_unreachable(self):
        """A server that does not answer is not listed; nor one that is banned by most."""
        self.listen("alice", 1)
        self.authorities.publish(published("alice", 1))
        self.authorities.publish(published("bob", 2))
        self.clock.advance(HOUR + 60)
        self.assertEqual(self.names(), ["alice"])
        for each in self.running()[:2]:
            work = Desk(each.server).decide("alice", Decision.BANNED)
            self.clock.result_of(Deferred.fromCoroutine(work))
        self.clock.advance(HOUR)
        self.assertEqual(self.names(), [])

    def test_restart(self):
        """One that starts again at any moment of an hour misses nothing."""
        self.listen("alice", 1)
        self.authorities.publish(published("alice", 1))
        self.clock.advance(HOUR + 60)
        first, *_ = self.authorities.all
        before = self.agreed()
        for minutes in (10, 31, 36, 44, 52, 59):
            at = self.clock.seconds() // HOUR * HOUR
            self.clock.run_until(at + 60 * minutes)
            first.stop()
            first.start()
            self.clock.run_until(at + HOUR + 60)
            after = self.agreed()
            self.assertEqual(after.consensus.previous, before.digest, minutes)
            self.assertEqual(after.tally.signed, 3, minutes)
            before = after

    def test_one_missing(self):
        """Two of three go on; the third has the same when it is back."""
        self.clock.advance(HOUR + 60)
        third = self.authorities.all[2]
        third.stop()
        self.clock.advance(3 * HOUR)
        self.assertEqual(self.agreed().tally.signed, 2)
        third.start()
        self.clock.advance(HOUR)
        self.assertEqual(self.agreed().tally.signed, 3)


class ToldTests(VirtualCase):
    """What changes without a restart."""

    def test_parameters(self):
        """The median of what the authorities have."""
        self.clock.advance(HOUR + 60)
        for each, fragments in zip(self.authorities.all, (7, 9, 40), strict=True):
            self.tell(each, network=f"fragments = {fragments}")
        self.clock.advance(HOUR)
        self.assertEqual(self.agreed().consensus.parameters.fragments, 9)

    def test_key(self):
        """A new signing key in the middle of an exchange, at each in turn."""
        self.clock.advance(HOUR + 60)
        for each, minutes in zip(self.authorities.all, (32, 40, 50), strict=True):
            at = self.clock.seconds() // HOUR * HOUR
            self.clock.run_until(at + 60 * minutes)
            each.signer, each.signing_ends = each.certified(self.clock.seconds())
            self.tell(each)
            self.clock.run_until(at + HOUR + 60)
            self.assertEqual(self.agreed().tally.signed, 3)

    def test_authorities(self):
        """A fourth one joins: each is told, none is restarted."""
        self.clock.advance(HOUR + 60)
        before = self.agreed()
        group = self.authorities
        fourth = VirtualAuthority(group, 4)
        group._lines.append(fourth.line)
        for each in group.all:
            self.tell(each)
        group.all.append(fourth)
        fourth.start()
        self.clock.advance(2 * HOUR)
        after = self.agreed()
        self.assertEqual(after.tally.signed, 4)
        self.assertEqual(after.consensus.valid_after, before.consensus.valid_after + 2 * HOUR)

    def test_suite(self):
        """Another suite from a key period on is in the periods that are listed."""
        period = NOW // (7 * DAY)
        for each in self.authorities.all:
            self.tell(each, network=f"suite-from = x25519 {period + 2}")
        self.clock.advance(HOUR + 60)
        suites = [each.geometry.suite for each in self.agreed().consensus.key_periods]
        self.assertEqual(suites, ["xwing", "xwing", "x25519"])

    def test_policy(self):
        """From open to manual: who was let in stays, who comes waits."""
        self.listen("alice", 1)
        self.listen("bob", 2)
        self.authorities.publish(published("alice", 1))
        self.clock.advance(HOUR + 60)
        for each in self.authorities.all:
            self.tell(each, admission="servers-per-network = 9")
        text = self.authorities.settings(self.authorities.all[0])
        self.assertEqual(text.admission.policy, "open")
        self.authorities.publish(published("bob", 2))
        self.clock.advance(HOUR)
        self.assertEqual(self.names(), ["alice", "bob"])

    def test_figures(self):
        """Figures of three pingers take a server out of use at once, and one liar does not."""
        self.listen("alice", 1)
        self.authorities.publish(published("alice", 1))
        self.clock.advance(HOUR + 60)
        for found, flags in (((990, 980, 0), (USABLE,)), ((100, 980, 200), ())):
            now = self.clock.seconds()
            reports = tuple(
                Report(f"op{n}", {identity("alice"): each}, now) for n, each in enumerate(found)
            )
            for each in self.authorities.all:
                self.tell(each, Figures(reports))
            for each in self.running():  # there are no files, which would be read again
                if (timer := each.server._timers["figures"]).active():
                    timer.cancel()
            self.clock.advance(HOUR)
            (alice,) = self.agreed().consensus.servers
            self.assertEqual(alice.flags, flags)


class FiguresFileTests(VirtualCase):
    count = 1

    def test_files(self):
        """Files are read again by themselves; a broken one leaves what was read before."""
        (one,) = self.authorities.all
        path = one.home / "figures.json"
        path.write_text(json.dumps({"operator": "op", "figures": {}}))
        os.utime(path, (NOW, NOW))
        self.tell(one, admission=f"[Figures]\nfiles = {path}")
        self.assertEqual(self.server().figures.reports, ())
        self.clock.advance(301)
        self.assertEqual([each.operator for each in self.server().figures.reports], ["op"])
        path.write_text("{")
        self.clock.advance(301)
        self.assertIn("cannot be used", self.server().complaint or "")
        self.assertEqual([each.operator for each in self.server().figures.reports], ["op"])
        path.write_text(json.dumps({"operator": "new", "figures": {}}))
        self.clock.advance(301)
        self.assertIsNone(self.server().complaint)
        self.assertEqual([each.operator for each in self.server().figures.reports], ["new"])


class ForgettingTests(VirtualCase):
    count = 1
    network = "consensus-interval = 5 days\nconsensus-fresh = 5 days\nconsensus-valid = 15 days"
    admission = "forget-after = 100 days\ndial-every = 7 days"

    def test_forgotten(self):
        """A server that is silent for long is forgotten, and its name is free."""
        self.listen("alice", 1)
        self.authorities.publish(published("alice", 1, valid_until=NOW + 6 * DAY))
        self.clock.advance(5 * DAY)
        self.assertIsNotNone(self.server().register.by_name("alice"))
        self.clock.advance(100 * DAY)
        self.assertIsNone(self.server().register.by_name("alice"))


class ServedTests(VirtualCase):
    count = 1

    def test_descriptor_of_a_vote(self):
        """Every descriptor that a consensus names is served by digest."""
        self.listen("alice", 1)
        self.authorities.publish(published("alice", 1))
        self.clock.advance(HOUR + 60)
        (alice,) = self.agreed().consensus.servers
        found = self.server()._descriptor(alice.descriptor)
        self.assertEqual(found, published("alice", 1))
        self.assertIsNone(self.server()._descriptor(kdf.sha256(b"x")))
