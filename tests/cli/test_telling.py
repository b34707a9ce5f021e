"""What commands say while they work: to people, on a terminal or not, and to programs."""

from __future__ import annotations

import io
import os
import tempfile

import click
from typing_extensions import override

from mixminion import api
from mixminion.cli import sentences
from mixminion.cli.bar import Bar, drawn
from mixminion.cli.sentences import Weight, span
from mixminion.cli.status import Status
from mixminion.cli.telling import Telling
from mixminion.client.errors import NotHandedOver
from mixminion.paths.deviations import Deviation
from mixminion.testing.cases import SyncTestCase

STRANGE = Deviation("strange", "It is strange.")


class Terminal(io.StringIO):
    @override
    def isatty(self) -> bool:
        return True


class SentenceTests(SyncTestCase):
    def test_weights(self) -> None:
        """Warnings are for everybody, sources for those who want to know."""
        cases: list[tuple[api.Event, list[Weight]]] = [
            (api.Fetching(), [Weight.NOTE]),
            (api.Warned(STRANGE), [Weight.WARNING]),
            (api.PathChosen((), (STRANGE,)), [Weight.NOTE, Weight.WARNING]),
            (api.Asked("x", "consensus", None), [Weight.DETAIL]),
            (api.Compared("x", api.Finding.SAME), [Weight.DETAIL]),
            (api.Kept(1), []),
        ]
        for event, weights in cases:
            said = [each.weight for each in sentences.of(event, verbose=False)]
            self.assertEqual(said, weights, event)

    def test_findings(self) -> None:
        """Every finding has its words."""
        self.assertEqual(set(sentences.FINDINGS), {each.value for each in api.Finding})

    def test_bad_answer(self) -> None:
        """A source's name is said once, also where the error says it."""
        error = NotHandedOver(entry="mix1", why="it is full")
        (said,) = sentences.of(api.Asked("there", "consensus", error), verbose=False)
        self.assertTrue(said.text.startswith("there: Not sent, but kept: mix1"), said)
        (said,) = sentences.of(api.Asked("mix1", "consensus", error), verbose=False)
        self.assertTrue(said.text.startswith("Not sent"), said)

    def test_span(self) -> None:
        """Rounded to what people say."""
        for seconds, text in [
            (0.2, "1 second"),
            (119, "119 seconds"),
            (960, "16 minutes"),
            (7200, "2 hours"),
        ]:
            self.assertEqual(span(seconds), text)


class BarTests(SyncTestCase):
    def test_drawn(self) -> None:
        """From nothing to all, also of nothing."""
        self.assertEqual(
            [drawn(0, 4, 8), drawn(1, 4, 8), drawn(4, 4, 8), drawn(0, 0, 2)],
            ["[........]", "[##......]", "[########]", "[##]"],
        )

    def test_terminal(self) -> None:
        """Packets go by on one line, which is gone before the next sentence; the last packet has a
        sentence of its own."""
        stream = Terminal()
        bar = Bar(stream, columns=40)
        self.assertTrue(bar.took(api.HandedOver(1, 2)))
        self.assertEqual(stream.getvalue(), "\r[#####.....] 1 of 2 packets\x1b[K")
        bar.clear()
        bar.clear()
        self.assertTrue(stream.getvalue().endswith("packets\x1b[K\r\x1b[K"))
        self.assertFalse(bar.took(api.HandedOver(2, 2)))

    def test_fetching(self) -> None:
        """Documents are counted while they come; the sentences about them are for others."""
        stream = Terminal()
        bar = Bar(stream, columns=40)
        for _ in range(2):
            self.assertFalse(bar.took(api.Asked("x", "consensus", None)))
        self.assertTrue(stream.getvalue().endswith("\rfetching the directory: 2 documents\x1b[K"))

    def test_elsewhere(self) -> None:
        """In a file or a pipe there are plain lines, and nothing else."""
        stream = io.StringIO()
        bar = Bar(stream)
        self.assertFalse(bar.took(api.HandedOver(1, 2)))
        bar.clear()
        self.assertEqual(stream.getvalue(), "")


class StatusTests(SyncTestCase):
    def test_not_open(self) -> None:
        """A descriptor that nobody can write to is refused at once."""
        reading, writing = os.pipe()
        os.close(writing)
        self.addCleanup(os.close, reading)
        for descriptor in (reading, writing):
            self.assertRaises(ValueError, Status, descriptor)

    def test_reader_gone(self) -> None:
        """Nothing is written any more, and nothing else happens."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, writing)
        status = Status(writing)
        os.close(reading)
        status.write({"event": "fetching"})
        status.write({"event": "fetching"})

    def test_last_line(self) -> None:
        """However a command ends, the last line says how."""
        for error, code, expected in [
            (None, 0, '"exit-code":0,"error":null,"sentence":null,"result":{"a":1}}'),
            (click.UsageError("Odd."), 64, '"error":"usage","sentence":"Odd.",'),
            (KeyboardInterrupt(), 130, '"error":"interrupted",'),
            (ZeroDivisionError(), 70, '"error":"fault",'),
            (NotHandedOver(entry="mix1", why="x"), 75, '"error":"not-sent","sentence":"Not sent,'),
        ]:
            with tempfile.TemporaryFile() as file:
                telling = Telling()
                telling.report_to(file.fileno())
                telling.keep({"a": 1})
                telling.end(code, error)
                telling.end(code, error)
                file.seek(0)
                (line,) = file.read().decode().splitlines()
            self.assertTrue(line.startswith('{"event":"ended",'), line)
            self.assertIn(expected, line)

    def test_found_in_arguments(self) -> None:
        """Wrong words before it do not hide the descriptor; words that are none do not count."""
        with tempfile.TemporaryFile() as file:
            for arguments in (["--status-fd"], ["--status-fd", "x"], ["send"]):
                telling = Telling()
                telling.look_for(arguments)
                telling.end(64)
            telling.look_for(["sned", "--status-fd", str(file.fileno())])
            telling.end(64)
            file.seek(0)
            self.assertEqual(len(file.readlines()), 1)
