"""The fault matrix: what bad authorities do, with as many of them as the others can bear.

In every cell all honest authorities end with the same consensus and enough signatures for the
period, nobody publishes another one for that instant, and the status of each honest authority
names those who misbehaved, with what they did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from mixminion.authority.schedule import faults as bearable
from mixminion.testing.cases import SyncTestCase
from tests.authority import faults
from tests.authority.faults import Fault, clock, restarted, second_vote, tampered
from tests.authority.world import World

COLUMNS = ((5, 1), (5, 2), (4, 1), (7, 3))
"""How many authorities, and how many of them are bad."""


@dataclass(frozen=True)
class Row:
    """A fault, and one of *named* must be in the status of every honest authority; where it is
    empty, none of *never* may be.  The votes of the bad ones *count* or not, or may."""

    name: str
    fault: Fault
    named: frozenset[str]
    counts: bool | None = None
    holds: bool = False  #: the bad ones end with the same consensus too
    columns: tuple[tuple[int, int], ...] = COLUMNS


def row(name: str, fault: Fault, named: str = "", **options: object) -> Row:
    return Row(name, fault, frozenset(named.split()), **options)  # type: ignore[arg-type]


GRAVE = {"equivocated", "second-vote", "other-consensus", "two-consensuses", "garbled"}
MORE = tuple((n, bad) for n, bad in COLUMNS if n > 4)
LIARS = tuple((n, bad) for n, bad in COLUMNS if bad > 1)

ROWS = (
    row("dead", faults.dead, "absent", counts=False),
    row("takes connections and says nothing", faults.stalled, "absent", counts=False),
    row("dies after voting", faults.dies_after_voting, "no-signature", counts=True),
    row("votes a round late", tampered(faults.LateVote), "late", counts=False, holds=True),
    row("votes late, to one only", tampered(faults.SlowToOne), counts=True),
    row("signs late", tampered(faults.LateSignature), "late-signature", counts=True),
    row("does not sign", tampered(faults.NoSignature), "no-signature", counts=True),
    row("signs another consensus", tampered(faults.SignsAnother), "other-consensus", counts=True),
    row("vote not canonical", tampered(faults.NotCanonical), "garbled", counts=False),
    row("vote's signature wrong", tampered(faults.WrongSignature), "garbled", counts=False),
    row("vote for another instant", tampered(faults.OtherInstant), "other-instant", counts=False),
    row("signed nonsense", tampered(faults.SignedNonsense), "garbled", counts=False),
    row("8 MiB of junk", tampered(faults.Junk), "absent", counts=False),
    row("lists what nobody has", faults.lists_what_nobody_has, "unavailable", counts=False),
    row("lists what is not valid", faults.lists_what_is_not_valid, "unavailable", counts=False),
    row(
        "liars who sign for each other",
        faults.countersigns_what_nobody_has,
        "unavailable",
        counts=False,
        columns=LIARS,
    ),
    row("two votes, to two halves", tampered(faults.TwoHalves), "equivocated", counts=False),
    row("second vote in round 1", second_vote(1), "equivocated", counts=False),
    row("second vote in round 2", second_vote(2), "equivocated second-vote"),
    row("second vote in round 3", second_vote(3), "equivocated second-vote", columns=MORE),
    row("second vote in round 4", second_vote(4), "second-vote", counts=True, columns=((7, 3),)),
    row("clock 3 minutes ahead", clock(180), "clock", counts=True, holds=True),
    row("clock 3 minutes behind", clock(-180), "clock", counts=True, holds=True),
    row("clocks 3 minutes off, both ways", clock(180, -180), "clock", columns=LIARS),
    row("clock an hour ahead", clock(3600), "clock", counts=False),
    row("clock an hour behind", clock(-3600), "clock", counts=False),
    row("clocks an hour off, both ways", clock(3600, -3600), "clock", columns=LIARS),
    row(
        "restarted before the vote",
        restarted(lambda w: w.schedule().begins - 10),
        counts=True,
        holds=True,
    ),
    row("restarted, vote written", faults.restarted_when_written("vote"), counts=True, holds=True),
    row(
        "restarted in round 1",
        restarted(lambda w: w.schedule().ends(1) - 60),
        counts=True,
        holds=True,
    ),
    row(
        "restarted in round 2",
        restarted(lambda w: w.schedule().ends(2) - 60),
        counts=True,
        holds=True,
    ),
    row(
        "restarted at the end",
        restarted(lambda w: w.schedule().closes - 10),
        counts=True,
        holds=True,
    ),
    row(
        "restarted, signature written",
        faults.restarted_when_written("signed"),
        counts=True,
        holds=True,
    ),
    row(
        "restarted after it", restarted(lambda w: w.schedule().closes + 30), counts=True, holds=True
    ),
    row(
        "restarted, published",
        restarted(lambda w: w.schedule().valid_after + 5),
        counts=True,
        holds=True,
    ),
    row("floods the others", faults.flooded),
)


class FaultTests(SyncTestCase):
    """One method for each cell, named after its row and column."""

    def cell(self, row: Row, n: int, number: int) -> None:
        world = World(n)
        bad = world.nodes[n - number :]
        honest = [node for node in world.nodes if node not in bad]
        self.assertLessEqual(len(bad), bearable(n))
        row.fault(world, bad)
        world.start()
        schedule = world.schedule()
        at = schedule.valid_after
        world.until(at + 600)
        published = {
            each.digest
            for node in world.nodes
            for each, _ in node.published
            if each.consensus.valid_after == at
        }
        self.assertEqual(len(published), 1)
        for node in world.nodes if row.holds else honest:
            held = node.held(at)
            assert held is not None
            self.assertTrue(held.tally.enough)
        for node in honest:
            for each in bad:
                told = node.misdeeds(each, at)
                if row.named:
                    self.assertTrue(told & row.named, told)
                else:
                    self.assertFalse(told & GRAVE, told)
                if row.counts is not None:
                    assert node.rounds is not None
                    votes = node.rounds.instants[at].poll.exchange.votes
                    counted = each.identity in {ballot.author for ballot in votes}
                    self.assertEqual(counted, row.counts)
            for other in honest:
                self.assertEqual(node.misdeeds(other, at), set())


def cells() -> Iterator[tuple[str, Row, int, int]]:
    for row in ROWS:
        for n, number in row.columns:
            words = "".join(each if each.isalnum() else "_" for each in row.name)
            yield f"test_{words}_{number}_of_{n}", row, n, number


for _name, _row, _n, _number in cells():
    _test = partial(FaultTests.cell, row=_row, n=_n, number=_number)
    setattr(FaultTests, _name, lambda self, _test=_test: _test(self))
