"""A mix is killed at every moment there is."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from mixminion.mix.intake import Intake
from mixminion.store import Store
from mixminion.testing.cases import SyncTestCase
from tests.integration.crash import wrong
from tests.integration.crash.counted import MESSAGES, Outcome, Run

STRIDE = 1 if os.environ.get("CRASH_ALL") else 7
ROLES = ("entry", "middle", "exit")


def runs(victim: int, stride: int, first: int = 1) -> Iterator[tuple[int, Outcome]]:
    """Runs with n = first, first + stride, ... until one has no n-th moment."""
    for n in count(first, stride):
        folder = Path(tempfile.mkdtemp())
        try:
            outcome = Run(folder, victim, n, again=n * 7919 % 50 + 1).run()
        finally:
            shutil.rmtree(folder)
        if not outcome.met:
            return
        yield n, outcome


class CountedTests(SyncTestCase):
    """Three mixes on a virtual clock, six messages, one mix that is killed, twice."""

    def _all(self, victim: int) -> None:
        moments = 0
        for n, outcome in runs(victim, STRIDE, 1 + victim):
            moments += 1
            self.assertTrue(outcome.good, f"the {ROLES[victim]} killed at moment {n}: {outcome}")
            self.assertEqual(outcome.pooled, len(ROLES) * MESSAGES)
            if victim < 2:
                self.assertEqual(outcome.repeated, 0, f"killed at moment {n}: {outcome}")
        self.assertGreater(moments, 10)

    def test_the_entry(self) -> None:
        """Its sender keeps what was not acknowledged, and sends all of it again."""
        self._all(0)

    def test_the_middle(self) -> None:
        """Its neighbours do so."""
        self._all(1)

    def test_the_exit(self) -> None:
        """A hand-over may be repeated, under the same Message-ID."""
        self._all(2)

    def test_an_answer_before_the_commit_turns_red(self) -> None:
        """Some packet is lost somewhere."""
        self._wrong(Intake, "receive", wrong.early_answer)
        self.assertTrue(any(outcome.lost for _, outcome in runs(1, 1)))

    def test_a_tag_in_a_later_transaction_turns_red(self) -> None:
        """Some packet is pooled twice."""
        self._wrong(Store, "unwrapped", wrong.tag_later)
        self.assertTrue(any(outcome.renamed for _, outcome in runs(2, 1)))

    def test_a_tag_in_an_earlier_transaction_turns_red(self) -> None:
        """Some packet is taken for its own replay."""
        self._wrong(Store, "unwrapped", wrong.tag_earlier)
        self.assertTrue(any(outcome.lost for _, outcome in runs(0, 1)))

    def _wrong(self, owner: Any, name: str, fault: Callable[[], None]) -> None:
        self.patch(owner, name, getattr(owner, name))
        fault()
