"""What commands print is what was recorded, and every command and option was."""

from __future__ import annotations

import difflib
import shutil
import tempfile
from pathlib import Path

import click

from mixminion.cli.main import mixminion
from mixminion.cli.tree import commands
from mixminion.testing.cases import SyncTestCase
from tests.golden.player import Player
from tests.golden.transcript import cases, name_of, shown, uses
from tests.source import ROOT

CASES = ROOT / "tests" / "golden" / "cases"
OPERATORS = ("server", "authority", "pinger")


def expected() -> set[tuple[tuple[str, ...], str]]:
    """Every parameter of every command for senders."""
    return {
        (words, name_of(parameter))
        for words, command in commands(mixminion)
        if words[1:2] not in {(name,) for name in OPERATORS}
        for parameter in command.get_params(click.Context(command))
        if not getattr(parameter, "hidden", False)
    }


class CoverageTests(SyncTestCase):
    def test_every_command_and_option(self) -> None:
        """None is without a recorded case; whoever adds one adds a line with ``$`` to a file of
        ``tests/golden/cases`` and runs ``python -m tests.golden NAME``."""
        lines = [case.line for case in cases(CASES)]
        seen = {(words, name) for line in lines for words, given in uses(line) for name in given}
        missing = sorted(f"{' '.join(words)}: {name}" for words, name in expected() - seen)
        self.assertEqual(missing, [], "\n".join(missing))
        self.assertIn("mixminion-sendmail", {words[0] for line in lines for words, _ in uses(line)})

    def test_uses(self) -> None:
        """Command lines are read as the command reads them, behind pipes, before redirections."""
        *_, (words, given) = uses("echo x | mixminion send -t drop --json 3>&1 > file")
        self.assertEqual(words, ("mixminion", "send"))
        self.assertEqual(given, {"to", "as_json"})
        *_, (words, given) = uses("until mixminion queue flush 3 --help; do sleep 1; done")
        self.assertEqual((words, given), (("mixminion", "queue", "flush"), {"numbers", "help"}))

    def test_shown(self) -> None:
        """What is another each time has a name instead; the rest stays."""
        found = shown("at 2026-11-23T08:00:00Z mix3\n", "/home/x/file\n", 2, "/home/x")
        self.assertEqual(found, ["> at <TIME> mixN", "! ~/file", "= 2"])


class GoldenTests(SyncTestCase):
    def test_cases(self) -> None:
        """Every file, in a network of real processes."""
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        player = Player(folder)
        self.addCleanup(player.stop)
        different: list[str] = []
        for path in sorted(CASES.glob("*.txt")):
            recorded, now = player.play(path)
            different += difflib.unified_diff(
                recorded.splitlines(), now.splitlines(), f"{path.name}", "now", lineterm="", n=8
            )
        self.assertEqual(different, [], "\n".join(different))
