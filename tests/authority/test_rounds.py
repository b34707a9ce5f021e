"""Rounds: one consensus after the other, what interrupts them, and how they go on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from mixminion.authority.ballots import Ballot
from mixminion.authority.schedule import Schedule
from mixminion.crypto.rng import SeededRandom
from mixminion.directory import canonical
from mixminion.directory.parameters import Parameters
from mixminion.directory.vote import Vote
from mixminion.disk.errors import WriteFailed
from mixminion.testing.cases import SyncTestCase
from tests.authority.faults import LateSignature, TwoHalves
from tests.authority.votes import authority
from tests.authority.world import Node, World, digest_of
from tests.directory.network import published

HOUR = 3600


class RoundsCase(SyncTestCase):
    def assert_agreed(self, world: World, at: int, nodes: Iterable[Node] | None = None) -> bytes:
        """All have published one consensus for that instant; its digest."""
        held = [node.held(at) for node in (world.nodes if nodes is None else nodes)]
        digests = {None if each is None else each.digest for each in held}
        self.assertEqual(len(digests), 1)
        (digest,) = digests
        assert digest is not None
        return digest

    def problems(self, node: Node) -> list[str]:
        """What its status says is wrong."""
        assert node.rounds is not None
        return [
            problem
            for each in node.rounds.status()["instants"]
            for problem in each.get("problems", [])
        ]


class RoundsTests(RoundsCase):
    """As it should be."""

    def test_hour_after_hour(self) -> None:
        """Five authorities publish one consensus an hour with five signatures, each of which
        names the one before and has a random value of all."""
        world = World(5)
        world.start()
        world.until(world.schedule(2).valid_after + 1)
        digest = None
        for number in range(3):
            at = world.schedule(number).valid_after
            before, digest = digest, self.assert_agreed(world, at)
            for node in world.nodes:
                held = node.held(at)
                assert held is not None
                self.assertEqual(held.tally.signed, 5)
                self.assertEqual(held.consensus.previous, before)
                self.assertFalse(held.consensus.gap)
                self.assertEqual(len(held.consensus.servers), 3)
                shared = held.consensus.shared_random
                assert shared is not None
                self.assertEqual(shared.value is not None, number > 0)
                self.assertEqual(len(shared.commitments), 5)

    def test_published_in_time(self) -> None:
        """At valid-after and not before, with every key document."""
        world = World(5)
        world.start()
        at = world.schedule().valid_after
        world.until(at - 0.01)
        self.assertEqual([node.published for node in world.nodes], [[]] * 5)
        world.until(at + 0.01)
        for node in world.nodes:
            (signed, keys), *_ = node.published
            self.assertEqual({*keys}, {each.keys for each in signed.consensus.key_periods})

    def test_any_number(self) -> None:
        """One authority, two, three, six."""
        for n in (1, 2, 3, 6):
            world = World(n)
            world.start()
            world.until(world.schedule(1).valid_after + 1)
            for number in range(2):
                self.assert_agreed(world, world.schedule(number).valid_after)

    def test_short_interval(self) -> None:
        """Three authorities on one machine, a consensus every ten seconds."""
        parameters = msgspec.structs.replace(
            Parameters.local_demo(), consensus_interval=10, consensus_fresh=10, consensus_valid=30
        )
        world = World(3, parameters)
        world.start()
        world.until(world.schedule(5).valid_after + 1)
        for number in range(6):
            self.assert_agreed(world, world.schedule(number).valid_after)

    def test_status(self) -> None:
        """JSON values: how far it is, what is held, who voted and signed."""
        world = World(4)
        world.start()
        node, schedule = world.nodes[0], world.schedule()
        assert node.rounds is not None
        status = node.rounds.status()
        self.assertEqual(status["next"]["valid-after"], schedule.valid_after)
        self.assertNotIn("consensus", status)
        phases = []
        for moment in (schedule.begins - 1, schedule.ends(1) + 1, schedule.closes + 1):
            world.until(moment)
            status = node.rounds.status()
            phases.append(status["instants"][0]["phase"])
            self.assertEqual(json.loads(canonical.encode(status)), status)
        self.assertEqual(phases, ["waiting", "voting", "signing"])
        world.until(schedule.valid_after + 1)
        status = node.rounds.status()
        self.assertEqual([each["phase"] for each in status["instants"]], ["collecting", "waiting"])
        self.assertEqual(status["consensus"]["valid-after"], schedule.valid_after)
        self.assertEqual(len(status["consensus"]["signed"]), 4)
        self.assertEqual(status["consensus"]["needed"], 3)
        for told in status["authorities"].values():
            self.assertEqual(told["voted"], schedule.valid_after)
            self.assertEqual(told["signed"], schedule.valid_after)
            self.assertEqual(told["misdeeds"], [])

    def test_stopped(self) -> None:
        """A stop leaves nothing behind, in whatever phase."""
        for moment in (-10.0, 100.0, 1200.0, 1801.0):
            world = World(4)
            world.start()
            world.until(world.schedule().begins + moment)
            for node in world.nodes:
                assert node.rounds is not None
                self.successResultOf(node.rounds.stop())
            world.clock.advance(120)  # servers' deadlines
            self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_interval_changes(self) -> None:
        """When the authorities agree on another interval, all go on at the same instants."""
        world = World(4)
        world.start()
        world.until(world.schedule().valid_after + 1)
        world.parameters = msgspec.structs.replace(
            world.parameters, consensus_interval=7200, consensus_fresh=7200, consensus_valid=21_600
        )
        changed = world.schedule(1).valid_after
        world.until(changed + 1)
        self.assert_agreed(world, changed)
        following = (changed // 7200 + 1) * 7200
        if following - 3600 - 900 < changed:
            following += 7200
        world.until(following + 7201)
        self.assert_agreed(world, following)
        self.assert_agreed(world, following + 7200)
        for node in world.nodes:
            self.assertEqual(len({each.digest for each, _ in node.published}), 4)


class DescriptorTests(RoundsCase):
    """Descriptors that not everybody has."""

    def test_known_to_one(self) -> None:
        """What one authority alone has is with all others before the exchange closes, and each
        serves it."""
        world = World(5)
        octets = published("dave", 4)
        world.named["dave"] = octets
        world.nodes[2].register.put(octets)
        world.start()
        world.until(world.schedule().closes + 1)
        for node in world.nodes:
            self.assertEqual(node.register.get(digest_of(octets)), octets)
            self.assertEqual(node.descriptor(digest_of(octets)), octets)
        world.until(world.schedule(1).valid_after + 1)
        for number, servers in ((0, 3), (1, 4)):  # by then all list it
            held = world.nodes[0].held(world.schedule(number).valid_after)
            assert held is not None
            self.assertEqual(len(held.consensus.servers), servers)

    def test_register_lost(self) -> None:
        """One that restarts without its register, when all votes are in, gets everything again."""
        world = World(4)
        node = world.nodes[3]
        world.start()
        world.until(world.schedule().closes - 5)
        node.kill()
        node.register.held.clear()
        world.until(world.schedule().closes + 5)
        node.start()
        at = world.schedule().valid_after
        world.until(at + 1)
        self.assert_agreed(world, at)
        held = node.held(at)
        assert held is not None
        self.assertEqual(held.tally.signed, 4)

    def test_other_envelope(self) -> None:
        """Another envelope of the same descriptor, with a certificate that has expired, does no
        harm: the others serve one that is good."""
        world = World(4)
        node = world.nodes[3]
        old = world.expired("alice")
        self.assertEqual(digest_of(old), digest_of(world.named["alice"]))
        node.register.held[digest_of(old)] = old
        world.start()
        at = world.schedule().valid_after
        world.until(at + 1)
        self.assert_agreed(world, at)
        assert node.rounds is not None
        self.assertEqual(node.rounds.descriptor(digest_of(old)), world.named["alice"])


class AbsenceTests(RoundsCase):
    """Authorities that are away, and come back."""

    def test_majority_dead(self) -> None:
        """With three of five dead there is no consensus, and the status says why; as soon as they
        are back there is one again, without anybody's help."""
        world = World(5)
        world.start()
        world.until(world.schedule().valid_after + 60)
        dead, alive = world.nodes[:3], world.nodes[3:]
        for node in dead:
            node.kill()
        world.until(world.schedule(3).valid_after + 60)
        for node in alive:
            assert node.rounds is not None
            self.assertEqual(len({each.digest for each, _ in node.published}), 1)
            self.assertIn("2 votes, and it takes 3", self.problems(node))
            for other in dead:
                self.assertIn("absent", node.misdeeds(other, world.schedule(3).valid_after))
        for node in dead:
            node.start()
        world.until(world.schedule(4).valid_after + 60)
        self.assert_agreed(world, world.schedule(4).valid_after)
        held = world.nodes[0].held(world.schedule(4).valid_after)
        first = world.nodes[0].held(world.schedule().valid_after)
        assert held is not None and first is not None
        self.assertEqual(held.consensus.previous, first.digest)

    def test_all_dead_for_days(self) -> None:
        """All are stopped and start days later, one after the other."""
        world = World(4)
        world.start()
        world.until(world.schedule().valid_after + 60)
        for node in world.nodes:
            node.kill()
        world.until(world.schedule(72).valid_after + 60)
        for number, node in enumerate(world.nodes):
            world.at(world.clock.seconds() + 7 * number, node.start)
        world.until(world.schedule(73).valid_after + 60)
        self.assert_agreed(world, world.schedule(73).valid_after)

    def test_away(self) -> None:
        """Who was away for a day has the last consensus within a minute, and votes for the next
        one with it as the previous one."""
        world = World(4)
        world.start()
        node = world.nodes[0]
        world.until(world.schedule().valid_after + 60)
        node.kill()
        world.until(world.schedule(24).valid_after + 900)
        node.start()
        world.clock.advance(60)
        last = self.assert_agreed(world, world.schedule(24).valid_after)
        at = world.schedule(25).valid_after
        world.until(at + 1)
        self.assert_agreed(world, at)
        assert node.rounds is not None
        octets = node.rounds.vote(at, node.identity)
        assert octets is not None
        vote, _ = Vote.open(octets)
        self.assertEqual(vote.previous, last)
        held = node.held(at)
        assert held is not None
        self.assertEqual(held.tally.signed, 4)

    def test_away_for_one(self) -> None:
        """Who comes when the votes are in takes the consensus of the others."""
        world = World(4)
        node = world.nodes[0]
        world.start(world.nodes[1:])
        world.until(world.schedule().ends(1) + 10)
        node.start()
        at = world.schedule().valid_after
        world.until(at + 120)
        self.assert_agreed(world, at)
        self.assertEqual(self.problems(node), ["we came too late to vote"])
        held = node.held(at)
        assert held is not None
        self.assertEqual(held.tally.signed, 4)  # it had all votes in time, and made the same

    def test_comes_after_the_votes(self) -> None:
        """Who comes when the exchange is over takes the consensus too, and names nobody."""
        world = World(4)
        node = world.nodes[0]
        world.start(world.nodes[1:])
        world.until(world.schedule().closes + 10)
        node.start()
        at = world.schedule().valid_after
        world.until(at + 1200)
        self.assert_agreed(world, at)
        for other in world.nodes[1:]:
            self.assertEqual(node.misdeeds(other, at), set())

    def test_clock_an_hour_behind(self) -> None:
        """Whose clock is wrong by an hour still holds what the others hold, within an hour."""
        for ahead in (-HOUR, HOUR):
            world = World(4)
            node = world.nodes[3]
            node.ahead = ahead
            world.start()
            world.until(world.schedule(2).valid_after - 1)
            self.assert_agreed(world, world.schedule().valid_after)
            assert node.rounds is not None
            self.assertEqual(node.rounds.status()["clock-ahead"], ahead)

    def test_parted(self) -> None:
        """Two that are cut off from three make nothing, and take over what the three have made
        when the network is whole again."""
        world = World(5)
        world.start()
        few, many = world.nodes[:2], world.nodes[2:]
        world.wire.part([node.host for node in few], [node.host for node in many])
        at = world.schedule().valid_after
        world.until(at + 60)
        digest = self.assert_agreed(world, at, many)
        self.assertEqual([node.published for node in few], [[], []])
        world.wire.heal()
        world.until(at + 900)
        self.assertEqual(self.assert_agreed(world, at), digest)


class InterruptedTests(RoundsCase):
    """An authority that is stopped and goes on, and whose disk or keys give trouble."""

    def test_reloaded(self) -> None:
        """Stopped and started again in one process, in each phase: nothing is said twice."""
        schedule = World(4).schedule()
        for moment in (schedule.begins - 1, schedule.begins + 1, schedule.closes + 1):
            world = World(4)
            world.start()
            world.until(moment)
            node = world.nodes[0]
            node.reload()
            at = world.schedule(1).valid_after
            world.until(at + 1)
            for number in range(2):
                self.assert_agreed(world, world.schedule(number).valid_after)
            for other in world.nodes:
                self.assertEqual(other.misdeeds(node, world.schedule().valid_after), set())

    def test_one_more(self) -> None:
        """Four authorities become five when all are told so."""
        world = World(5)
        four = world.nodes[:4]
        world.authorities = [authority(number) for number in range(4)]
        world.start(four)
        world.until(world.schedule().valid_after + 60)
        self.assert_agreed(world, world.schedule().valid_after, four)
        world.authorities = [authority(number) for number in range(5)]
        for node in four:
            node.reload()
        world.nodes[4].start()
        at = world.schedule(1).valid_after
        world.until(at + 60)
        self.assert_agreed(world, at)
        held = world.nodes[4].held(at)
        assert held is not None
        self.assertEqual(held.tally.signed, 5)

    def test_same_vote(self) -> None:
        """After a restart the vote is the one that was written, whatever would be made now."""
        world = World(4)
        node, at = world.nodes[0], world.schedule().valid_after
        world.start()
        world.until(world.schedule().begins + 5)
        assert node.rounds is not None
        before = Ballot.read(node.rounds.vote(at, node.identity) or b"", world.authorities, at)
        node.kill()
        node.make_vote = partial(node.vote, contact="another")
        node.start()
        world.until(at + 1)
        for other in world.nodes:
            assert other.rounds is not None
            octets = other.rounds.vote(at, node.identity) or b""
            self.assertEqual(Ballot.read(octets, world.authorities, at).digest, before.digest)
            self.assertEqual(other.misdeeds(node, at), set())

    def test_unreadable_vote(self) -> None:
        """When the vote is there and cannot be read, no other one is made."""
        world = World(4)
        node, at = world.nodes[0], world.schedule().valid_after
        node.files[f"{at}-vote-{node.identity.hex()}-{bytes(32).hex()}"] = b"?"
        world.start()
        world.until(at + 1)
        self.assertIn("our vote is in the archive and cannot be read", self.problems(node))
        self.assert_agreed(world, at)
        self.assertIn("absent", world.nodes[1].misdeeds(node, at))

    def test_disk_full(self) -> None:
        """What cannot be written is not sent."""
        world = World(4)
        node, at = world.nodes[0], world.schedule().valid_after

        def full(name: str) -> None:
            if f"-vote-{node.identity.hex()}" in name:
                del node.files[name]
                raise WriteFailed(path=name, reason="No space left on device")

        node.written = full
        world.start()
        world.until(at + 1)
        self.assert_agreed(world, at)
        self.assertIn("votes cannot be written", self.problems(node))
        for other in world.nodes[1:]:
            self.assertIn("absent", other.misdeeds(node, at))

    def test_no_vote(self) -> None:
        """A vote that cannot be made is a defect of ours, and the round goes on without it."""
        world = World(4)
        node, at = world.nodes[0], world.schedule().valid_after

        def make_vote(*arguments: object) -> Vote:
            raise ZeroDivisionError

        node.make_vote = make_vote
        world.start()
        world.until(at + 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.problems(node), ["our vote could not be made"])
        self.assert_agreed(world, at)

    def test_key_expired(self) -> None:
        """Without a certificate for that time there is neither a vote nor a signature."""
        world = World(4)
        world.nodes[0].days = 0
        world.start()
        at = world.schedule().valid_after
        world.until(at + 1)
        self.assert_agreed(world, at)
        held = world.nodes[0].held(at)
        assert held is not None
        self.assertEqual(held.tally.signed, 3)
        problems = self.problems(world.nodes[0])
        self.assertEqual({*problems}, {"our signing key has no certificate for that time"})


class EvidenceTests(RoundsCase):
    def test_late_signatures(self) -> None:
        """Signatures that come while a consensus is fresh are added at all authorities."""
        world = World(5)
        for node in world.nodes[3:]:
            node.tampering = LateSignature(node)
        world.start()
        at = world.schedule().valid_after
        world.until(at + 1)
        for node in world.nodes[:3]:
            held = node.held(at)
            assert held is not None
            self.assertEqual(held.tally.signed, 3)
        world.until(at + 900)
        octets = set()
        for node in world.nodes:
            held = node.held(at)
            assert held is not None
            octets.add(held.octets)
        self.assertEqual(held.tally.signed, 5)
        self.assertEqual(len(octets), 1)

    def test_evidence(self) -> None:
        """Both votes of an equivocator are served by every authority, also after a restart."""
        world = World(4)
        bad, at = world.nodes[3], world.schedule().valid_after
        bad.tampering = TwoHalves(bad)
        world.start()
        world.until(at + 1)
        world.nodes[0].kill()
        world.nodes[0].start()
        for node in world.nodes[:3]:
            assert node.rounds is not None
            octets = node.rounds.evidence(at, bad.identity)
            assert octets is not None
            ballots = [
                Ballot.read(canonical.encode(each), world.authorities, at)
                for each in canonical.decode(octets)
            ]
            self.assertEqual([each.author for each in ballots], [bad.identity] * 2)
            self.assertEqual(len({each.digest for each in ballots}), 2)
            self.assertIn("equivocated", node.misdeeds(bad, at))
            self.assertIsNone(node.rounds.evidence(at, authority(1)))


class DayTests(RoundsCase):
    def test_a_day_of_trouble(self) -> None:
        """In each of 24 hours two of five are killed and started again at random, or cut off; not
        one consensus is missing, and never are there two."""
        world = World(5)
        random = SeededRandom(b"a day")
        world.start()
        for number in range(24):
            self.trouble(world, random, world.schedule(number))
        world.until(world.schedule(23).valid_after + HOUR)
        for number in range(24):
            at = world.schedule(number).valid_after
            digests = {
                signed.digest
                for node in world.nodes
                for signed, _ in node.published
                if signed.consensus.valid_after == at
            }
            self.assertEqual(len(digests), 1)
        newest = world.schedule(23).valid_after
        self.assert_agreed(world, newest)

    def trouble(self, world: World, random: SeededRandom, schedule: Schedule) -> None:
        """For two of them, somewhere between this exchange and its consensus."""
        order: list[Node] = list(world.nodes)
        random.shuffle(order)
        unlucky: Sequence[Node] = order[:2]
        span = schedule.valid_after - schedule.opens
        for node in unlucky:
            begins = schedule.opens + random.uniform() * span
            lasts = random.exponential(300.0)
            if random.below(2):
                node.restart(begins, lasts)
            else:
                others = [each.host for each in world.nodes if each is not node]
                world.at(begins, partial(world.wire.part, [node.host], others))
                world.at(begins + lasts, world.wire.heal)
