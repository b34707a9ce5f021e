"""Words that shells offer, and the scripts that make them do so."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

from mixminion.cli import completing
from mixminion.testing.cases import SyncTestCase
from tests.cli.test_main import run

CODE = """
import atexit, sys
from mixminion.cli.main import main
atexit.register(lambda: print("imported" if "twisted" in sys.modules else "not imported"))
sys.exit(main())
"""


class CompletionTests(SyncTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp()).absolute()
        folder = self.home / "state" / "directory"
        folder.mkdir(parents=True)
        self.config = self.home / "mixminion.conf"
        self.config.write_text("[Client]\nhome = state\n")
        payload = json.dumps({"servers": [{"nickname": "mix1"}, {"nickname": "Other"}]})
        envelope = {"payload": b64encode(payload.encode()).decode()}
        (folder / "consensus").write_text(json.dumps(envelope))

    def words(self, line: str) -> list[str]:
        """What bash offers at the end of *line*."""
        words = line.split(" ")
        done = run(
            code=CODE,
            COMP_WORDS=line,
            COMP_CWORD=str(len(words) - 1),
            _MIXMINION_COMPLETE="bash_complete",
            MIXMINION_CONFIG=str(self.config),
        )
        *offered, imported = done.stdout.splitlines()
        self.assertEqual((done.stderr, imported), ("", "not imported"))
        return [each.removeprefix("plain,") for each in offered if each]

    def test_commands(self) -> None:
        """Commands, those under them, and options."""
        self.assertEqual(self.words("mixminion qu"), ["queue"])
        self.assertIn("flush", self.words("mixminion queue "))
        self.assertEqual(self.words("mixminion send --prev"), ["--preview"])

    def test_names(self) -> None:
        """Servers of the directory that is held, in a path too; columns; none where none is."""
        self.assertEqual(self.words("mixminion send -P m"), ["mix1"])
        self.assertEqual(self.words("mixminion send -P ?,o"), ["?,Other"])
        self.assertEqual(self.words("mixminion send -P a,b|O"), ["a,b|Other"])
        self.assertEqual(self.words("mixminion mailbox create m"), ["mix1"])
        self.assertEqual(self.words("mixminion ping m"), ["mix1"])
        self.assertEqual(
            self.words("mixminion list-servers --columns nickname,usa"),
            ["nickname,usable", "nickname,usable-from"],
        )
        self.assertEqual(completing.names(self.home / "state"), [])
        with sqlite3.connect(self.home / "state" / "client.sqlite") as connection:
            connection.execute("CREATE TABLE identities (name TEXT)")
            connection.execute("INSERT INTO identities VALUES ('work')")
        self.assertEqual(self.words("mixminion send --identity w"), ["work"])
        self.assertEqual(completing.nicknames(self.home), [])
        (self.home / "state" / "directory" / "consensus").write_text("[]")
        self.assertEqual(self.words("mixminion send -P m"), [])

    def test_scripts(self) -> None:
        """Shells read them without complaint, and ask this command."""
        for shell in ("bash", "zsh", "fish"):
            done = run("completion", shell)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("_MIXMINION_COMPLETE", done.stdout)
            if shutil.which(shell):
                checked = subprocess.run([shell, "-n"], input=done.stdout, text=True, check=False)
                self.assertEqual(checked.returncode, 0, shell)

    def test_bash(self) -> None:
        """In a real bash."""
        script = run("completion", "bash").stdout
        folder = self.home / "bin"
        folder.mkdir()
        program = folder / "mixminion"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m mixminion "$@"\n')
        program.chmod(0o755)
        ask = (
            "\nCOMP_WORDS=(mixminion list); COMP_CWORD=1; _mixminion_completion mixminion list;"
            ' echo "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", script + ask],
            env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        self.assertEqual(done.stdout.strip(), "list-servers")
