"""The machine that exchanges votes."""

from __future__ import annotations

from mixminion.authority.ballots import Ballot
from mixminion.authority.exchange import Evidence, Exchange, Keep, Look, Spread, Verdict
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.testing.cases import SyncTestCase
from tests.authority.votes import (
    INSTANT,
    authorities,
    authority,
    envelope,
    schedule,
    signed,
    signer,
    vote,
)


class ExchangeTests(SyncTestCase):
    """The first of five, and what it is sent; rounds last six minutes."""

    def setUp(self) -> None:
        self.schedule = schedule(5)
        self.exchange = self.machine()
        self.own = signed(vote(0), 0)
        self.begins = self.schedule.begins
        self.exchange.begin(self.begins, self.own)

    def machine(self, *kept: Ballot) -> Exchange:
        return Exchange(self.schedule, authorities(5), authority(0), signer(0), kept)

    def offer(self, ballot: Ballot, after: float) -> tuple[str | None, list[str]]:
        """The word and the kinds of action for a vote that comes so long after the begin."""
        word, actions = self.exchange.offered(ballot.octets, self.begins + after)
        return word, [type(each).__name__ for each in actions]

    def verdict(self, number: int) -> Verdict:
        return self.exchange.finding(authority(number)).verdict

    def test_own(self) -> None:
        """Our own vote is spread as it is, and counts."""
        (action,) = self.machine().begin(self.begins, self.own)
        self.assertEqual(action, Spread(self.own))
        self.exchange.close(self.schedule.closes)
        self.assertEqual(self.exchange.votes, [self.own])

    def test_accepted(self) -> None:
        """A vote is looked at; when all it names is there it is written, signed and passed on."""
        ballot = signed(vote(1), 1)
        self.assertEqual(self.offer(ballot, 10), (None, ["Look"]))
        self.assertEqual(self.verdict(1), Verdict.ABSENT)
        keep, spread = self.exchange.complete(authority(1), ballot.digest, self.begins + 20)
        self.assertIsInstance(keep, Keep)
        assert isinstance(spread, Spread)
        self.assertEqual({*spread.ballot.signatures}, {authority(0), authority(1)})
        self.assertEqual(self.verdict(1), Verdict.VOTED)
        self.assertEqual(self.offer(ballot, 30), (None, []))
        self.assertEqual(self.exchange.complete(authority(1), ballot.digest, self.begins + 40), [])

    def test_last_round(self) -> None:
        """In the last round it is written and not passed on."""
        ballot = signed(vote(1), 1, 2, 3)
        self.assertEqual(self.offer(ballot, 2 * 360 + 1), (None, ["Look"]))
        (action,) = self.exchange.complete(authority(1), ballot.digest, self.begins + 2 * 360 + 2)
        self.assertEqual(action, Keep(ballot))

    def test_late(self) -> None:
        """Each round takes a signature more, the author's among them."""
        for round, numbers in ((2, (1,)), (3, (1, 2)), (4, (1, 2, 3, 4))):
            ballot = signed(vote(1, f"in {round}"), *numbers)
            self.exchange = self.machine()
            self.assertEqual(self.offer(ballot, (round - 1) * 360 + 1), ("late", []))
            self.assertEqual(self.verdict(1), Verdict.LATE)
        # signatures of several envelopes count together
        self.exchange = self.machine()
        self.assertEqual(self.offer(signed(vote(1), 1, 2), 721), ("late", []))
        self.assertEqual(self.offer(signed(vote(1), 1, 3), 722), (None, ["Look"]))

    def test_never_complete(self) -> None:
        """A vote whose descriptors do not come is let go of in time, and named."""
        ballot = signed(vote(1), 1)
        self.offer(ballot, 10)
        self.assertTrue(self.exchange.wants(ballot.digest))
        self.exchange.unusable(authority(1), ballot.digest, "no", self.begins + 20)
        self.assertEqual(self.exchange.complete(authority(1), ballot.digest, self.begins + 361), [])
        self.assertFalse(self.exchange.wants(ballot.digest))
        found = self.exchange.finding(authority(1))
        self.assertEqual((found.verdict, found.detail), (Verdict.UNAVAILABLE, "no"))

    def test_equivocated(self) -> None:
        """Two votes in time convict their author; both are written before either is passed on,
        and a third one is not looked at."""
        self.offer(signed(vote(1), 1), 10)
        word, actions = self.offer(signed(vote(1, "another"), 1), 20)
        self.assertEqual((word, actions), (None, ["Keep", "Keep", "Spread", "Spread"]))
        self.assertEqual(self.offer(signed(vote(1, "third"), 1), 30), ("equivocated", []))
        self.assertEqual(self.verdict(1), Verdict.EQUIVOCATED)
        self.exchange.close(self.schedule.closes)
        self.assertEqual(self.exchange.votes, [self.own])
        found = self.exchange.evidence(authority(1))
        assert found is not None
        self.assertEqual(len({each.digest for each in found}), 2)

    def test_second_too_late(self) -> None:
        """A second vote that comes too late has no effect, and is passed on once as evidence."""
        ballot = signed(vote(1), 1)
        self.offer(ballot, 10)
        self.exchange.complete(authority(1), ballot.digest, self.begins + 11)
        second = signed(vote(1, "another"), 1)
        word, actions = self.exchange.offered(second.octets, self.begins + 400)
        self.assertEqual(word, "late")
        self.assertEqual(actions, [Evidence(second), Spread(second)])
        self.assertEqual(self.offer(second, 401), ("late", []))
        self.assertEqual(self.offer(signed(vote(1, "third"), 1), 402), ("late", []))
        self.assertEqual(self.verdict(1), Verdict.VOTED)
        self.assertIsNotNone(self.exchange.evidence(authority(1)))

    def test_early(self) -> None:
        """A round before the first, votes wait for it; before that, their senders do."""
        ballot = signed(vote(1), 1)
        self.exchange = self.machine()
        self.assertEqual(self.offer(ballot, -361), ("early", []))
        self.assertEqual(self.offer(ballot, -359), (None, []))
        for each in ("another", "third"):
            self.assertEqual(self.offer(signed(vote(1, each), 1), -358), (None, []))
        actions = self.exchange.begin(self.begins, None)
        self.assertEqual(self.verdict(1), Verdict.EQUIVOCATED)
        self.assertEqual(len([each for each in actions if isinstance(each, Spread)]), 2)
        self.assertTrue(any(isinstance(each, Look) for each in actions))

    def test_bounded(self) -> None:
        """Of one author two payloads are kept, however many he signs, at whatever times."""
        for number in range(60):
            self.offer(signed(vote(1, f"{number}"), 1, *range(number % 4)), number * 30 - 60)
        seat = self.exchange._seats[authority(1)]
        held = {*seat.ballots, *seat.strays, *seat.early}
        self.assertLessEqual(len(held), 2)

    def test_clock_put_back(self) -> None:
        """A round that is over does not come again."""
        self.exchange.offered(self.own.octets, self.begins + 721)
        ballot = signed(vote(1), 1)
        word, _ = self.exchange.offered(ballot.octets, self.begins + 1)
        self.assertEqual(word, "late")

    def test_restored(self) -> None:
        """What was kept is in after a restart, is spread again, and no other own vote is made."""
        kept = signed(vote(1), 1, 0)
        self.exchange = self.machine(self.own, kept)
        actions = self.exchange.begin(self.begins + 500, signed(vote(0, "another"), 0))
        self.assertEqual(actions, [Spread(self.own), Spread(kept)])
        self.exchange.close(self.schedule.closes)
        self.assertEqual(len(self.exchange.votes), 2)

    def test_refused(self) -> None:
        """What is no vote, or nobody's, or for another time, by its word; who signed is named."""
        good = envelope(vote(1), 1)
        stranger = Envelope(
            payload=good.payload, payload_type=good.payload_type, signatures=()
        ).encode()
        other = signed(vote(2, valid_after=INSTANT + 3600), 2).octets
        nonsense = Envelope(
            payload=b"{}", payload_type=str(PayloadType.VOTE), signatures=()
        ).encode()
        for octets, word in (
            (b"", "malformed"),
            (good.encode() + b" ", "malformed"),
            (stranger, "unsigned"),
            (nonsense, "unsigned"),
            (envelope(vote(1), 3).encode(), "unsigned"),
            (envelope(vote(6), 6).encode(), "unsigned"),
            (other, "another-instant"),
        ):
            self.assertEqual(self.exchange.offered(octets, self.begins + 1), (word, []))
        self.assertEqual(self.verdict(1), Verdict.ABSENT)
        self.assertEqual(self.verdict(2), Verdict.OTHER_INSTANT)

    def test_our_key_elsewhere(self) -> None:
        """Another vote with our own key convicts us."""
        self.offer(signed(vote(0, "another"), 0), 10)
        self.assertEqual(self.verdict(0), Verdict.EQUIVOCATED)
