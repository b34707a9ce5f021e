"""``python -m tests.golden [NAME]...`` records the files with these names, or all."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.golden.player import Player
from tests.golden.test_golden import CASES


def main(names: list[str]) -> None:
    """Play them, and write what came."""
    with tempfile.TemporaryDirectory() as folder:
        player = Player(Path(folder))
        try:
            for path in sorted(CASES.glob("*.txt")):
                if not names or path.stem in names:
                    before, now = player.play(path)
                    path.write_text(now, "utf-8")
                    state = "is as it was" if now == before else "is another"
                    sys.stdout.write(f"{path.stem} {state}\n")
        finally:
            player.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
