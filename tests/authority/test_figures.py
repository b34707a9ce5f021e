"""Pingers' figures: the median, hysteresis, files, and one pinger that lies."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mixminion.authority import figures
from mixminion.authority.errors import UnusableFigures
from mixminion.authority.figures import Figures, Report, usable
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase
from tests.authority.kit import identity

ALICE = identity("alice")


def said(*found: int) -> Figures:
    """Figures of so many operators about alice."""
    return Figures(tuple(Report(f"op{n}", {ALICE: each}) for n, each in enumerate(found)))


class MedianTests(SyncTestCase):
    def test_worked(self):
        """The middle one of three or five, the lower middle of four; none of fewer than three."""
        for found, median in [
            ((), None),
            ((990,), None),
            ((990, 990), None),
            ((700, 850, 990), 850),
            ((700, 850, 930, 990), 850),
            ((0, 880, 910, 950, 1000), 910),
        ]:
            self.assertEqual(said(*found).reliability(ALICE), median)
        self.assertIsNone(said(1, 2, 3).reliability(identity("bob")))

    def test_liar(self):
        """One of three who says nothing or everything moves a server only between the others."""
        for honest, lie in [((940, 960), 0), ((940, 960), 1000)]:
            median = said(*honest, lie).reliability(ALICE)
            assert median is not None
            self.assertTrue(min(honest) <= median <= max(honest))
            self.assertTrue(usable(median, False))
        self.assertFalse(usable(said(300, 500, 1000).reliability(ALICE), True))

    def test_operators(self):
        """Who has two files has one voice: the second one is refused."""
        folder = Path(self.mktemp())
        folder.mkdir()
        paths = [folder / name for name in ("a.json", "b.json")]
        for path in paths:
            path.write_text(json.dumps({"operator": " OP ", "figures": {}}))
        error = self.assertRaises(UnusableFigures, figures.gather, paths)
        self.assertIn("operator op, who counts once", render(error))

    def test_old(self):
        """Reports that nobody renews do not count."""
        reports = tuple(Report(str(n), {ALICE: 950}, 1000.0 * n) for n in range(4))
        found = Figures(reports)
        self.assertEqual(found.fresh(3500, 3000).reliability(ALICE), 950)
        self.assertIsNone(found.fresh(4500, 3000).reliability(ALICE))


class UsableTests(SyncTestCase):
    def test_hysteresis(self):
        """From 900 on it is usable; then as long as it does not fall below 800."""
        state, seen = False, []
        for figure in (850, 899, 900, 870, 800, 799, 850, 899, 905, 850):
            state = usable(figure, state)
            seen.append(state)
        self.assertEqual(seen, [False, False, True, True, True, False, False, False, True, True])

    def test_no_figures(self):
        """Where there are too few, a server is not held responsible for that."""
        self.assertTrue(usable(None, False))
        self.assertTrue(usable(None, True))


class FileTests(SyncTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def write(self, value: Any) -> None:
        self.path.write_text(value if isinstance(value, str) else json.dumps(value))

    def test_good(self):
        """A file as a pinger writes it; its age is when it changed."""
        self.write({"operator": "Alpha", "figures": {ALICE.hex(): 950}})
        os.utime(self.path, (5, 7))
        (report,) = figures.gather([self.path]).reports
        self.assertEqual(report, Report("alpha", {ALICE: 950}, 7.0))

    def test_refused(self):
        """Everything else, with what is wrong."""
        for value, part in [
            ("", "expected {"),
            ("[" * 100_000, "expected {"),
            ([], "expected {"),
            ({"operator": "x"}, "expected {"),
            ({"operator": "x", "figures": {"zz": 1}}, "expected {"),
            ({"operator": "x", "figures": [1]}, "expected {"),
            ({"operator": 7, "figures": {}}, "operator is no text"),
            ({"operator": " ", "figures": {}}, "operator is no text"),
            ({"operator": "x", "figures": {"00": 1}}, "64 hexadecimal"),
            ({"operator": "x", "figures": {ALICE.hex(): 1001}}, "0 to 1000"),
            ({"operator": "x", "figures": {ALICE.hex(): True}}, "0 to 1000"),
            ({"operator": "x", "figures": {ALICE.hex(): 9.5}}, "0 to 1000"),
        ]:
            self.write(value)
            error = self.assertRaises(UnusableFigures, figures.gather, [self.path])
            self.assertIn(part, render(error))
            self.assertIn(str(self.path), render(error))

    def test_missing(self):
        """A file that is not there."""
        error = self.assertRaises(UnusableFigures, figures.gather, [self.path])
        self.assertIn("No such file", render(error))

    def test_long(self):
        """No file is read for ever."""
        self.patch(figures, "LONGEST", 10)
        self.write({"operator": "x", "figures": {}})
        error = self.assertRaises(UnusableFigures, figures.gather, [self.path])
        self.assertIn("longer than", render(error))
