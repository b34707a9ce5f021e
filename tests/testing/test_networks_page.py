"""The page on networks in one process: its example runs."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from mixminion.testing.cases import SyncTestCase

PAGE = Path(__file__).parents[2] / "doc" / "develop" / "networks.rst"


class ExampleTests(SyncTestCase):
    def test_runs(self) -> None:
        """As it stands there, with a folder of ours."""
        _, _, rest = PAGE.read_text().partition(".. code-block:: python\n")
        lines = []
        for line in rest.splitlines():
            if line and not line.startswith("    "):
                break
            lines.append(line)
        source = dedent("\n".join(lines))
        self.assertIn("VotedNetwork(folder, 5", source)
        names = {"folder": Path(self.mktemp())}
        exec(compile(source, str(PAGE), "exec"), names)
