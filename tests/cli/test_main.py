"""The command's frame: help without imports, errors as sentences and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import click

from mixminion.cli import main
from mixminion.cli.lazy import LazyGroup
from mixminion.control.errors import RemoteError
from mixminion.errors import Fault, OperatorError
from mixminion.testing.cases import SyncTestCase

RUN = "import sys; from mixminion.cli.main import main; sys.exit(main())"

EVERY_HELP = """
import sys
import click
from mixminion.cli.main import mixminion
from mixminion.cli.tree import commands

for words, command in commands(mixminion):
    with click.Context(command, info_name=" ".join(words)) as context:
        assert command.get_help(context).startswith("Usage: ")
    found = sorted({name.split(".")[0] for name in sys.modules} & {"twisted", "zope"})
    print(*words, "imports", *(found or ["nothing"]))
"""


def run(*arguments: str, code: str = RUN, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


class HelpTests(SyncTestCase):
    def test_help(self):
        """Help names every command and imports nothing of Twisted, nor any command."""
        code = (
            "import sys; from mixminion.cli.main import main; code = main(['--help'])\n"
            "banned = ('twisted', 'zope', 'cryptography')\n"
            "own = ('bar', 'lazy', 'main', 'status', 'telling')\n"
            "print([m for m in sys.modules if m.split('.')[0] in banned"
            " or m.startswith('mixminion.cli.') and m.split('.')[2] not in own])"
        )
        done = run(code=code)
        *lines, imported = done.stdout.splitlines()
        self.assertEqual(imported, "[]")
        for name in main.COMMANDS:
            self.assertTrue(any(line.startswith(f"  {name} ") for line in lines), name)

    def test_help_of_commands(self):
        """Neither does the help of any command, all of which are shown here."""
        done = run(code=EVERY_HELP)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        shown = done.stdout.splitlines()
        self.assertGreater(len(shown), 60)
        self.assertEqual([line for line in shown if not line.endswith(" imports nothing")], [])

    def test_nothing(self):
        """The command alone shows its help, as wrong usage."""
        done = run()
        self.assertEqual((done.returncode, done.stdout), (64, ""))
        self.assertIn("Commands:", done.stderr)

    def test_tables(self):
        """Every command in the tables that has a module can be loaded and has help."""
        from mixminion.cli.server import command as server

        for group, names in ((main.mixminion, ["version", "server"]), (server, list(server.table))):
            assert isinstance(group, LazyGroup)
            for name in names:
                with click.Context(group) as context:
                    command = group.get_command(context, name)
                assert command is not None
                self.assertTrue(command.help or command.short_help, name)


class ErrorTests(SyncTestCase):
    def failing(self, error: BaseException) -> None:
        """Let the command raise this."""

        def fail(*arguments: object, **options: object) -> None:
            raise error

        self.patch(main.mixminion, "main", fail)
        self.said: list[str] = []
        self.patch(click, "echo", lambda text, err: self.said.append(text))

    def test_sentences(self):
        """Each of our errors is one line on stderr and its exit code."""

        class NoMail(OperatorError):
            code = "no-mail"
            sentence = "no mail for {who}"
            exit_code = 75

        for error, code, said in [
            (NoMail(who="you"), 75, ["mixminion: no mail for you"]),
            (RemoteError(code="x", sentence="busy", exit_code=73), 73, ["mixminion: busy"]),
            (PermissionError(13, "Denied", "x"), 77, ["mixminion: Cannot use x: Denied."]),
            (OSError(28, "Disk full", b"x"), 73, ["mixminion: Cannot use x: Disk full."]),
            (click.ClickException("no such thing"), 64, ["mixminion: no such thing"]),
            (click.Abort(), 130, []),
            (KeyboardInterrupt(), 130, []),
        ]:
            self.failing(error)
            self.assertEqual(main.main([]), code)
            self.assertEqual(self.said, said)

    def test_faults(self):
        """A defect is a sentence too, and how to see more; code 70."""
        for error in (Fault(), ZeroDivisionError("secret"), OSError(5, "secret")):
            self.failing(error)
            self.assertEqual(main.main([]), 70)
            self.assertEqual(len(self.said), 2)
            self.assertNotIn("secret", "".join(self.said))
            self.assertIn("--debug", self.said[1])

    def test_debug(self):
        """With --debug, or in its environment, the traceback is shown."""
        code = (
            "import sys, mixminion.cli.version as v; from mixminion.cli.main import main\n"
            "v.version = 3; sys.exit(main())"
        )
        for arguments, environment in [
            (("--debug", "version"), {}),
            (("version",), {main.DEBUG: "1"}),
        ]:
            done = run(*arguments, code=code, **environment)
            self.assertEqual(done.returncode, 70)
            self.assertIn("Traceback", done.stderr)
        self.assertNotIn("Traceback", run("version", code=code).stderr)

    def test_usage(self):
        """Wrong words, options and missing ones are 64, and name the help to read."""
        for arguments, part in [
            (["sned"], "No such command 'sned'"),
            (["--colour"], "--colour"),
            (["server", "status", "extra"], "extra"),
            (["server", "init"], "--nickname"),
        ]:
            done = run(*arguments)
            self.assertEqual(done.returncode, 64, done.stderr)
            self.assertTrue(done.stderr.startswith("mixminion: "), done.stderr)
            self.assertIn(part, done.stderr)
            self.assertIn("--help`", done.stderr)

    def test_broken_pipe(self):
        """A reader that goes away leaves no traceback."""
        code = f"import os; r, w = os.pipe(); os.close(r); os.dup2(w, 1)\n{RUN}"
        done = run("version", code=code)
        self.assertEqual((done.returncode, done.stderr), (1, ""))


class VersionTests(SyncTestCase):
    def test_version(self):
        """Text and JSON name the same versions."""
        lines = run("version").stdout.splitlines()
        versions = json.loads(run("version", "--json").stdout)
        self.assertEqual(lines, [f"{name} {number}" for name, number in versions.items()])
        self.assertLessEqual({"mixminion", "python", "twisted", "openssl"}, versions.keys())
