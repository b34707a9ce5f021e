"""What of an event is written into a daemon's log."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, gatherResults
from twisted.logger import LogEvent, Logger, LogLevel, LogPublisher
from twisted.python import log as legacy
from twisted.python.failure import Failure

from mixminion.app import silence
from mixminion.testing.cases import SyncTestCase

SECRET = "bob@example.test"


class SilenceTests(SyncTestCase):
    """Ours as it is, Twisted's without values, others' not at all, failures by kind and place."""

    def setUp(self) -> None:
        self.lines: list[str] = []
        self.publisher = LogPublisher(self.note)  # type: ignore[arg-type]

    def note(self, event: LogEvent) -> None:
        """What would be written."""
        text = silence.line(event)
        if text is not None:
            self.lines.append(text)

    def log(self, namespace: str) -> Logger:
        return Logger(namespace, observer=self.publisher)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def test_ours(self) -> None:
        """Words, numbers and paths are written, with time, room and level."""
        self.log("mixminion.mix").info("{n} at {path}", n=3, path=Path("/srv"))
        self.assertRegex(self.text, r"^\S+ \[mixminion\.mix#info\] 3 at /srv\n$")

    def test_our_slips(self) -> None:
        """Octets, exceptions and objects in a field of ours show their type alone."""
        values: list[Any] = [SECRET.encode(), ValueError(SECRET), [SECRET], {1: SECRET}]
        for value in values:
            self.log("mixminion.mix").error("{value} and {value!r}", value=value)
        self.assertNotIn(SECRET, self.text)
        for kind in ("bytes", "ValueError", "list", "dict"):
            self.assertIn(f" {kind} and '{kind}'", self.text)

    def test_twisted(self) -> None:
        """The template shows what happened, and not to whom."""
        self.log("twisted.web.http").info("Timing out client: {peer}", peer=SECRET)
        self.assertIn("Timing out client: {peer}\n", self.text)
        self.assertNotIn(SECRET, self.text)

    def test_others(self) -> None:
        """Another package's words are not written at all; that there were grave ones is."""
        for namespace in ("exit_of_somebody", "mixminion_exit", "stdout", "-"):
            self.log(namespace).info(f"to {SECRET}")
            self.log(namespace).debug("to {who}", who=SECRET)
        self.assertEqual(self.text, "")
        self.log("exit_of_somebody").warn(f"to {SECRET}")
        self.assertIn("[exit_of_somebody#warn] Another part of the program said", self.text)
        self.assertNotIn(SECRET, self.text)

    def test_legacy(self) -> None:
        """Finished texts of the old log, and its system, which names the client, are not."""
        old = legacy.LogPublisher(self.publisher, self.publisher)
        old.msg(SECRET, system=f"HTTPChannel,1,{SECRET}")
        self.assertEqual(self.text, "")
        old.msg(failure=Failure(ValueError(SECRET)), why=SECRET, isError=1)
        self.assertIn("ValueError", self.text)
        self.assertNotIn(SECRET, self.text)

    def test_failures(self) -> None:
        """Kind and lines, of causes too; whoever reports it."""

        def broken() -> None:
            raise ValueError(SECRET) from KeyError(SECRET)

        for namespace in ("mixminion.mix", "twisted.internet.defer", "somebody"):
            self.lines.clear()
            try:
                broken()
            except ValueError:
                self.log(namespace).failure("It broke.")
            self.assertRegex(self.text, r"ValueError\n.*test_silence\.py:\d+ in test_failures")
            self.assertRegex(self.text, r"in broken\n\tbecause of\n\tKeyError")
            self.assertNotIn(SECRET, self.text)
            self.assertEqual("It broke." in self.text, namespace != "somebody")

    def test_gathered(self) -> None:
        """Of several Deferreds the one that failed."""
        both = gatherResults([Deferred(), fail(ValueError(SECRET))], consumeErrors=True)
        self.log("mixminion.mix").failure("It broke.", self.failureResultOf(both))
        self.assertIn("ValueError", self.text)
        self.assertNotIn(SECRET, self.text)

    def test_unhandled(self) -> None:
        """A Deferred's failure that nobody took."""
        failure = Failure(ValueError(SECRET))
        self.log("twisted.internet.defer").failure(
            "Unhandled error in Deferred:{where}", failure, LogLevel.critical, where=SECRET
        )
        self.assertIn("Unhandled error in Deferred:{where}\n\tValueError", self.text)
        self.assertNotIn(SECRET, self.text)

    def test_warning(self) -> None:
        """Where, and of which category."""
        self.log("twisted.logger._global").warn(
            "{filename}:{lineno}: {category}: {warning}",
            warning=warnings.WarningMessage(SECRET, UserWarning, "x.py", 7),
            category="builtins.UserWarning",
            filename="x.py",
            lineno=7,
        )
        self.assertIn("builtins.UserWarning at x.py:7", self.text)
        self.assertNotIn(SECRET, self.text)

    def test_broken_events(self) -> None:
        """Whatever an event lacks or says wrongly, the log goes on."""
        events: list[LogEvent] = [
            {},
            {"log_namespace": 5, "log_format": b"x"},
            {"log_namespace": "mixminion.x", "log_format": "{missing}"},
            {"log_namespace": "twisted.x", "log_format": None, "log_failure": "no failure"},
        ]
        for event in events:
            silence.line({"log_secret": SECRET, "secret": SECRET} | event)
            self.note({"log_secret": SECRET, "secret": SECRET} | event)
        self.assertNotIn(SECRET, self.text)
