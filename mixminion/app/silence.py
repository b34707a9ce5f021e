"""The one gate to a daemon's log: what is written of an event, and what never is.

Our own events carry fields that were chosen to say nothing of users; they are written as
they are, but for values that are no plain words and numbers.  Twisted's are written as
their template, without the values, which may be a client's address or a request's path.
What others say (an exit module's author, a library, whatever prints) is known only to
them, so nothing but its source is written.  Of a failure there remain the kinds of its
exceptions and the lines of code that they passed (:mod:`mixminion.util.faults`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from twisted.internet.defer import FirstError
from twisted.logger import LogEvent, LogLevel, formatTime
from twisted.python.failure import Failure

from mixminion.util import faults

OURS = "mixminion"
TWISTED = "twisted"
LEGACY = "{log_text}"  # what twisted.python.log makes of a finished text

_PLAIN = (str, int, float, PurePath, type(None))


def line(event: LogEvent) -> str | None:
    """What the log says of *event*, with a line end; None when there is nothing to say."""
    text = "\n".join(_texts(event))
    if not text:
        return None
    level = event.get("log_level")
    name = level.name if level is not None else "-"
    head = f"{formatTime(event.get('log_time'))} [{_namespace(event)}#{name}]"
    return f"{head} {text}".replace("\n", "\n\t") + "\n"


def _texts(event: LogEvent) -> Iterator[str]:
    failure = event.get("log_failure", event.get("failure"))  # the new log's, the old one's
    known = _known(event)
    if known is not None:
        yield known
    elif isinstance(failure, Failure):
        yield "A fault, reported by another part of the program:"
    elif event.get("log_level") in (LogLevel.warn, LogLevel.error, LogLevel.critical):
        yield "Another part of the program said something, which is not written down."
    if isinstance(failure, Failure):
        yield from _failure(failure)


def _known(event: LogEvent) -> str | None:
    """The event's own words, as far as they are ours or Twisted's."""
    room = _namespace(event).partition(".")[0]
    template = event.get("log_format")
    if room not in (OURS, TWISTED) or not isinstance(template, str) or template == LEGACY:
        return None
    if room == OURS:
        return _filled(template, event)
    if {"category", "filename", "lineno"} <= event.keys():
        return f"{event['category']} at {faults.place(event['filename'], event['lineno'])}"
    return template


def _filled(template: str, event: LogEvent) -> str:
    """The template with its values; without them when one is wrong, for Twisted's own way out
    is to print them all."""
    try:
        return template.format_map({name: _plain(value) for name, value in event.items()})
    except (LookupError, AttributeError, ValueError, TypeError):
        return template


def _plain(value: Any) -> Any:
    """A field's value, or its type where the value could be anything."""
    if isinstance(value, _PLAIN):
        return value
    return faults.kind(value) if isinstance(value, BaseException) else type(value).__name__


def _failure(failure: Failure) -> Iterator[str]:
    """The failure, and the one that it wraps (of several Deferreds)."""
    error = failure.value
    if isinstance(error, BaseException):
        yield faults.report(error, failure.getTracebackObject())
    if isinstance(error, FirstError):
        yield from _failure(error.subFailure)


def _namespace(event: LogEvent) -> str:
    found = event.get("log_namespace")
    return found if isinstance(found, str) else "-"
