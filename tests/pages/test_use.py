"""The guide for users, run page by page in a network of real processes."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from mixminion.disk import lock
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.network import LocalNetwork
from tests.pages.page import Example, agrees, examples
from tests.source import ROOT

PATIENCE = 60.0
"""Seconds for what comes later."""

PAGES = ROOT / "doc" / "use"
SCRIPTS = """\
#!/bin/sh
exec {python} -P -m {module} "$@"
"""
PROGRAMS = {"mixminion": "mixminion", "mixminion-sendmail": "mixminion.cli.sendmail"}


class Reader:
    """Somebody who follows a page, or several who do: each has a home of their own."""

    def __init__(self, folder: Path, network: LocalNetwork) -> None:
        self._folder = folder
        self._network = network
        self._programs = folder / "bin"
        self._programs.mkdir(parents=True)
        for name, module in PROGRAMS.items():
            path = self._programs / name
            path.write_text(SCRIPTS.format(python=sys.executable, module=module))
            path.chmod(0o755)

    def follow(self, page: Path) -> list[str]:
        """Run a page's examples; what was not as it says."""
        return [
            f"{page.name}:{each.line}: {each.command}\nprinted:\n{printed}"
            for each in examples(page.read_text("utf-8"))
            if (printed := self._differing(each)) is not None
        ]

    def _differing(self, example: Example) -> str | None:
        """What an example printed, unless that is what the page shows."""
        end = time.monotonic() + (PATIENCE if example.later else 0.0)
        while True:
            done = self._run(example)
            if example.silent:
                return None if done.returncode == 0 else done.stdout
            if agrees(example.shown, done.stdout):
                return None
            if time.monotonic() > end:
                return done.stdout
            time.sleep(1.0)

    def _run(self, example: Example) -> subprocess.CompletedProcess[str]:
        home = self._folder / (example.who or "you")
        if not home.exists():
            home.mkdir()
            shutil.copy(self._network.bootstrap, home / "network.conf")
        gone = ("MIXMINION_CONFIG", "MIXMINION_HOME", "MIXMINION_DEBUG")
        environment = {name: text for name, text in os.environ.items() if name not in gone}
        environment |= {
            "HOME": str(home),
            "PATH": f"{self._programs}:{environment['PATH']}",
            "ARRIVED": str(self._network.mail / "new"),
        }
        return subprocess.run(
            ["bash", "-c", example.command],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )


@cache
def network() -> LocalNetwork:
    """One for all pages."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    made = LocalNetwork(folder / "network", mailboxes=True)
    made.make()
    atexit.register(made.stop)
    made.start()
    return made


class UseTests(SyncTestCase):
    """A test for each page that has examples; they print what the page shows."""

    def follow(self, page: Path) -> None:
        """Run one."""
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        self.addCleanup(_end_agents, folder)
        differing = Reader(folder, network()).follow(page)
        self.assertEqual(differing, [], "\n\n".join(differing))


def _end_agents(folder: Path) -> None:
    """End what a page left running that was not followed to its end."""
    for state in folder.glob("*/.config/mixminion/state"):
        if pid := lock.holder(state):
            os.kill(pid, signal.SIGKILL)


def _test(page: Path) -> Callable[[UseTests], None]:
    return lambda self: self.follow(page)


for _page in sorted(PAGES.glob("*.rst")):
    if any(examples(_page.read_text("utf-8"))):
        setattr(UseTests, f"test_{_page.stem.replace('-', '_')}", _test(_page))
