"""The page that says why mail was lost names tests; they are there."""

from __future__ import annotations

import re

from mixminion.testing.cases import SyncTestCase
from tests.source import ROOT

PAGE = ROOT / "doc" / "design" / "why-mail-was-lost.rst"
NAMED = re.compile(r"``(tests/\S+\.py):\s+(\w+)``")


class WhyMailWasLostTests(SyncTestCase):
    def test_every_named_test_exists(self) -> None:
        """A cause whose test is gone is not excluded any more."""
        found = NAMED.findall(PAGE.read_text())
        self.assertGreater(len(found), 30)
        for path, name in found:
            with self.subTest(path=path, name=name):
                self.assertIn(f"def {name}(", (ROOT / path).read_text())
