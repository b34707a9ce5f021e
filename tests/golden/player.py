"""Plays transcripts in a network of real processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from mixminion.disk import private
from mixminion.testing.network import LocalNetwork
from tests.golden.transcript import Case, read, shown

PROGRAMS = {"mixminion": "mixminion", "mixminion-sendmail": "mixminion.cli.sendmail"}
WORDS = ("MIXMINION", "_MIXMINION")


class Player:
    """A network, and a folder with a home for each file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.network = LocalNetwork(folder / "network", mailboxes=True)
        self.network.make()
        self.network.start()
        self._programs = folder / "bin"
        self._programs.mkdir()
        for name, module in PROGRAMS.items():
            path = self._programs / name
            path.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m {module} "$@"\n')
            path.chmod(0o755)

    def stop(self) -> None:
        """End it."""
        self.network.stop()

    def play(self, path: Path) -> tuple[str, str]:
        """A file as it is, and as it would be recorded now."""
        home = self._home(path.stem)
        text = path.read_text("utf-8")
        lines: list[str] = []
        for each in read(text):
            if isinstance(each, Case):
                lines += [f"$ {each.line}", *self._run(each.line, home)]
                continue
            lines.append(each)
            if each.startswith("% "):
                self._change(each[2:].split(), home)
        return text, "\n".join(lines) + "\n"

    def _home(self, name: str) -> Path:
        home = self._folder / name
        shutil.rmtree(home, ignore_errors=True)
        private.make_folder(home)
        shutil.copy(self.network.bootstrap, home / "network.conf")
        config = home / ".config" / "mixminion"
        config.parent.mkdir()
        private.make_folder(config)
        private.write(config / "mixminion.conf", self.network.client_config.read_bytes())
        return home

    def _change(self, words: list[str], home: Path) -> None:
        match words:
            case ["stop", name]:
                next(mix for mix in self.network.mixes if mix.nickname == name).stop()
            case ["start", name]:
                next(mix for mix in self.network.mixes if mix.nickname == name).start()
            case ["fresh"]:
                shutil.rmtree(home / ".config")
            case _:
                raise ValueError(words)

    def _run(self, line: str, home: Path) -> list[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(WORDS)}
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=home,
            env={
                **kept,
                "HOME": str(home),
                "PATH": f"{self._programs}:{kept['PATH']}",
                "LC_ALL": "C.UTF-8",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        return shown(done.stdout, done.stderr, done.returncode, str(home))
