"""``mixminion server check-store``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mixminion.app import configuration, inspection, process
from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result
from mixminion.errors import EX_DATAERR


@click.command()
@server_option
@json_option
def command(path: Path, as_json: bool) -> int:
    """Check the store and the keys of a server that does not run.

    Nothing is changed.  The first line is OK, or what is wrong: what is lost by it, and what the
    next start does about it.
    """
    from twisted.internet import reactor

    clock: Any = reactor
    process.harden()
    progress = Progress()
    try:
        report = inspection.check_store(configuration.load(path), clock, progress.show)
    finally:
        progress.end()
    data = {
        "findings": [{"code": code, "sentence": said} for said, code in report.wrong.items()],
        "notes": [{"code": code, "sentence": said} for said, code in report.notes.items()],
        **report.counts(),
    }
    print_result(data, _lines(report), as_json=as_json)
    return EX_DATAERR if report.wrong else 0


def _lines(report: inspection.Report) -> Iterator[str]:
    first, *further = report.wrong or ["OK"]
    yield first
    yield from (f"Also: {sentence}" for sentence in further)
    yield from (f"Note: {sentence}" for sentence in report.notes)
    yield ""
    for name, value in report.counts().items():
        if isinstance(value, dict) and value:
            yield f"{name}:"
            yield from (f"  {key}: {number}" for key, number in value.items())
        else:
            yield f"{name}: {'none' if value == {} else '-' if value is None else value}"


class Progress:
    """A line on a terminal that says how far a long check has come, and goes at its end."""

    def __init__(self) -> None:
        self._shown = ""

    def show(self, done: int, of: int) -> None:
        """*done* pages *of* all."""
        line = f"Checked {100 * done // max(1, of)} %"
        if line != self._shown and sys.stderr.isatty():
            self._shown = line
            click.echo(f"\r{line}", nl=False, err=True)

    def end(self) -> None:
        """Leave no trace of it."""
        if self._shown:
            click.echo(f"\r{' ' * len(self._shown)}\r", nl=False, err=True)
