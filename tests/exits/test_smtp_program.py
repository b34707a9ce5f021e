"""Mail by a program: real ones, that take, refuse, hang and die."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater
from typing_extensions import override

from mixminion.config import ConfigErrors
from mixminion.exits.smtp import Section, SmtpExit, make
from mixminion.interfaces import Message, Outcome
from mixminion.testing.cases import AsyncTestCase
from tests.exits import kit

reactor: Any = installed

PROGRAM = """\
import os, sys, time
folder, words = sys.argv[1], sys.argv[2:]
text = sys.stdin.buffer.read()
print("bob is not known here", file=sys.stderr)
number = len(os.listdir(folder))
open(f"{folder}/{number}", "wb").write(repr(words).encode() + b"\\n" + text)
if "slow@example.test" in words:
    if not os.fork():
        os.setsid()
        time.sleep(3)
    time.sleep(60)
for word in words:
    if word.startswith("code"):
        sys.exit(int(word[4:6]))
"""


def message(*recipients: str, content: bytes = b"Subject: x\r\n\r\n.\r\nFrom x\r\n") -> Message:
    return Message("smtp", recipients, content, None, "<1@mix.test>", 1_800_000_000)


def kind(outcome: Outcome) -> tuple[str, str]:
    return outcome.kind.value, outcome.reason


class SendmailCase(AsyncTestCase):
    @override
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.program = Path(self.mktemp()).absolute()
        self.program.write_text(PROGRAM)

    def exit(self, command: str = "", **shorter: Any) -> SmtpExit:
        command = command or f"{sys.executable} '{self.program}' '{self.folder}'"
        text = (
            "[Exit smtp]\nmodule = smtp\ndomain = mix.test\ntransport = sendmail\n"
            f"command = {command}\n{kit.NO_LIMITS}\n"
        )
        [section] = kit.config(text).named(Section).values()
        exit = make("smtp", replace(section, **shorter), kit.Environment(reactor))
        self.addCleanup(lambda: ensureDeferred(exit.stop()))
        return exit

    def calls(self) -> list[tuple[list[str], bytes]]:
        """What it was called with and read, in order."""
        paths = sorted(self.folder.iterdir(), key=lambda path: int(path.name))
        parts = [path.read_bytes().partition(b"\n") for path in paths]
        return [(eval(words), text) for words, _, text in parts]


class SendmailTests(SendmailCase):
    async def test_delivered(self) -> None:
        """It gets sender and recipients as arguments, and the mail with its dots as they are."""
        outcome = await self.exit().deliver(message("bob@example.test", "alice@example.test"))
        self.assertEqual(kind(outcome), ("delivered", "exit-0"))
        [(words, text)] = self.calls()
        self.assertEqual(words[:4], ["-i", "-f", "anonymous@mix.test", "--"])
        self.assertEqual(words[4:], ["bob@example.test", "alice@example.test"])
        self.assertTrue(text.startswith(b"From: Anonymous <anonymous@mix.test>\n"))
        self.assertTrue(text.endswith(b"\n\n.\nFrom x\n"))
        self.assertNotIn(b"\r", text)

    async def test_large(self) -> None:
        """More than fits into a pipe."""
        content = b"\r\n" + b"a line\r\n" * 100_000
        await self.exit(max_message=1 << 24).deliver(message("bob@example.test", content=content))
        [(_, text)] = self.calls()
        self.assertEqual(text.partition(b"\n\n")[2].count(b"a line\n"), 100_000)

    async def test_codes(self) -> None:
        """Each exit code: for good, for now, or about the program as a whole."""
        exit = self.exit()
        for code, expected in (
            *((code, "permanent") for code in (65, 67, 68)),
            *((code, "temporary") for code in (1, 69, 70, 71, 72, 73, 74, 75, 76, 77)),
            *((code, "unreachable") for code in (64, 78)),
        ):
            outcome = await exit.deliver(message(f"code{code}@example.test"))
            self.assertEqual(kind(outcome), (expected, f"exit-{code}"))

    async def test_one_of_several(self) -> None:
        """Who cannot be reached does not keep the others from their mail."""
        outcome = await self.exit().deliver(message("code67@example.test", "bob@example.test"))
        self.assertEqual(kind(outcome), ("delivered", "in-part"))
        self.assertEqual(
            [words[4:] for words, _ in self.calls()][1:],
            [["code67@example.test"], ["bob@example.test"]],
        )

    async def test_missing(self) -> None:
        """A program that is not there, or is none, is about all mail."""
        self.program.chmod(0o600)
        for command in ("/nowhere/sendmail", str(self.program)):
            outcome = await self.exit(command).deliver(message("bob@example.test"))
            self.assertEqual(kind(outcome), ("unreachable", "program-missing"), command)

    async def test_it_reads_nothing(self) -> None:
        """One that ends without reading takes nobody with it."""
        content = b"\r\n" + b"a line\r\n" * 100_000
        exit = self.exit("/bin/false", max_message=1 << 24)
        outcome = await exit.deliver(message("bob@example.test", content=content))
        self.assertEqual(kind(outcome), ("temporary", "exit-1"))

    async def test_hang(self) -> None:
        """One that goes on too long is killed, also when its child keeps the pipe."""
        exit = self.exit(final_timeout=1.0)
        began = time.monotonic()
        outcome = await exit.deliver(message("slow@example.test"))
        self.assertEqual(kind(outcome), ("temporary", "timeout"))
        self.assertLess(time.monotonic() - began, 2.5)

    async def test_killed(self) -> None:
        """One that a signal ends has failed for now."""
        exit = self.exit("/bin/sh -c 'kill -9 $$'")
        outcome = await exit.deliver(message("bob@example.test"))
        self.assertEqual(kind(outcome), ("temporary", "killed"))

    async def test_stop(self) -> None:
        """A program under way is awaited when the exit stops; none is started any more."""
        exit = self.exit("/bin/sh -c 'sleep 0.5'")
        under_way = ensureDeferred(exit.deliver(message("bob@example.test")))
        await deferLater(reactor, 0.1)
        await exit.stop()
        self.assertEqual(kind(self.successResultOf(under_way)), ("delivered", "exit-0"))
        outcome = await exit.deliver(message("bob@example.test"))
        self.assertEqual(kind(outcome), ("unreachable", "stopping"))

    async def test_cancelled(self) -> None:
        """An attempt that nobody awaits any more leaves no program behind."""
        exit = self.exit()
        attempt = ensureDeferred(exit.deliver(message("slow@example.test")))
        await deferLater(reactor, 0.3)
        _ = attempt.addErrback(lambda failure: None)
        attempt.cancel()
        began = time.monotonic()
        await exit.stop()
        self.assertLess(time.monotonic() - began, 2.0)

    def test_words(self) -> None:
        """The program is named by its full path; arguments are split as a shell would."""
        with self.assertRaises(ConfigErrors):
            self.exit("sendmail")
        exit = self.exit("/usr/sbin/sendmail -oem 'two words'")
        self.assertEqual(exit._section.command, ("/usr/sbin/sendmail", "-oem", "two words"))
