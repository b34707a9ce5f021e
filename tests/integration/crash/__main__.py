"""``python -m tests.integration.crash [--mails N] [--kills N]``: the full run."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from tests.integration.crash import wrong
from tests.integration.crash.laboratory import Laboratory, Plan


async def run(reactor: Any, folder: Path, plan: Plan) -> None:
    """Run, print, and end with 1 when something was wrong."""
    figures = await Laboratory(reactor, folder, plan).run()
    sys.stdout.write("".join(f"{line}\n" for line in figures.lines()))
    if not figures.good:
        raise SystemExit(1)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.integration.crash")
    parser.add_argument("--mails", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--unacknowledged", type=int, default=100)
    parser.add_argument("--swallow", action="store_true", help="a disk that syncs nothing")
    parser.add_argument("--fault", choices=sorted(wrong.FAULTS), default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where, and stays; a new one otherwise")
    chosen = parser.parse_args()
    plan = Plan(
        mails=chosen.mails,
        kills=chosen.kills,
        unacknowledged=chosen.unacknowledged,
        swallow=chosen.swallow,
        fault=chosen.fault,
        seed=chosen.seed,
    )
    with tempfile.TemporaryDirectory() as made:
        folder = chosen.folder or Path(made) / "crash"
        react(lambda reactor: Deferred.fromCoroutine(run(reactor, folder, plan)))


if __name__ == "__main__":
    main()
