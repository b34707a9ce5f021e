"""Real servers under load, killed again and again with their un-synced writes thrown away."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet import reactor

from mixminion.testing.cases import AsyncTestCase
from tests.integration.crash import steps
from tests.integration.crash.laboratory import Figures, Laboratory, Plan

FULL = Plan(mails=5000, kills=200)
SHORT = Plan(mails=300, kills=20)
BETWEEN = (steps.COMMITTED,)  #: a step at which half of something is done
LATE = (steps.RELEASED, steps.RANDOM)  #: steps at which much is stored


class ProcessTests(AsyncTestCase):
    """Five mixes, an SMTP server, two senders' programs; ``CRASH_ALL`` for the full run."""

    timeout = 3600

    async def _figures(self, plan: Plan) -> Figures:
        figures = await Laboratory(reactor, Path(self.mktemp()), plan).run()
        os.write(1, "".join(f"\n    {line}" for line in figures.lines()).encode() + b"\n")
        return figures

    async def test_nothing_is_lost_or_doubled(self) -> None:
        """Killed at every named step and at random; workers, MTA and senders, too."""
        plan = FULL if os.environ.get("CRASH_ALL") else SHORT
        figures = await self._figures(plan)
        self.assertTrue(figures.good, figures)
        self.assertGreaterEqual(figures.mails, plan.mails)
        self.assertGreaterEqual(len(figures.unacknowledged), plan.kills)
        self.assertGreaterEqual(min(figures.unacknowledged), plan.unacknowledged)
        self.assertGreater(figures.pages, 0)

    async def test_without_syncing_it_turns_red(self) -> None:
        """The disk says yes and does nothing."""
        figures = await self._figures(
            Plan(kills=6, others=False, steps=LATE, torn=False, swallow=True, quiet=8.0)
        )
        self.assertTrue(figures.lost or figures.broken, figures)

    async def test_with_the_tag_in_another_transaction_it_turns_red(self) -> None:
        """A packet is taken for its own replay."""
        figures = await self._figures(
            Plan(kills=10, others=False, fault="tag-earlier", steps=BETWEEN, quiet=8.0)
        )
        self.assertTrue(figures.lost, figures)
