"""Every target, a little; and every input that ever did harm."""

from __future__ import annotations

from pathlib import Path

from mixminion.testing.cases import SyncTestCase
from tests.fuzz.driver import Run, Target, fuzz
from tests.fuzz.targets import TARGETS

INPUTS = 2000
"""Of each target in every test run; ``make fuzz`` runs many more."""

FINDINGS = Path(__file__).with_name("findings")


class TargetTests(SyncTestCase):
    """One test for each target: see below."""

    def check(self, target: Target) -> None:
        """A short run finds nothing, and both accepts and, where it can, refuses."""
        report = fuzz(target, INPUTS, most=1)
        for finding in report.findings:
            self.fail(f"{finding.problem}\n{finding.octets!r}\n{finding.detail}")
        self.assertGreater(report.accepted, 0)
        if target.refuses:
            self.assertLess(report.accepted, INPUTS)

    def test_findings(self) -> None:
        """What did harm once does none any more."""
        for path in sorted(FINDINGS.glob("*/*")):
            with self.subTest(path.parent.name, path=path.name):
                target = TARGETS[path.parent.name]
                finding = Run(target, target.build()).alone(path.read_bytes())
                self.assertIsNone(finding, finding)


def _test(name: str) -> object:
    def test(self: TargetTests) -> None:
        self.check(TARGETS[name])

    test.__doc__ = f"Spoilt inputs of {name} are refused as documented."
    return test


for _name in TARGETS:
    setattr(TargetTests, f"test_{_name.replace('-', '_')}", _test(_name))
