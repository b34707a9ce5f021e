"""What may be written down of a fault: which kind it is and where, never what it says.

The text of an exception may quote whatever was at hand: a refused recipient, a packet, a
client's address.  Its type, and the files and lines of the stack, are code alone.
"""

from __future__ import annotations

import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TextIO

DEEPEST = 8
"""Causes of causes that are told."""

_FILE = re.compile(r"[\w./+ -]+\.py|<(string|stdin|frozen [\w.]+)>")


def kind(error: BaseException) -> str:
    """The type of *error*, with its module."""
    return _name(type(error))


def places(trace: TracebackType | None) -> Iterator[str]:
    """``file:line in function`` of each frame, the innermost last."""
    while trace is not None:
        code = trace.tb_frame.f_code
        yield f"{place(code.co_filename, trace.tb_lineno)} in {code.co_name}"
        trace = trace.tb_next


def place(filename: str, line: int) -> str:
    """``file:line``, where that can be the name of a file of code."""
    return f"{filename if _FILE.fullmatch(filename) else '?'}:{line}"


def report(error: BaseException, trace: TracebackType | None = None) -> str:
    """Kind and places of *error* and of what caused it, a line each.

    *trace* is used where the exception has no traceback of its own (any more).
    """
    return "\n".join(_lines(error, trace, DEEPEST))


def _lines(error: BaseException, trace: TracebackType | None, deeper: int) -> Iterator[str]:
    yield kind(error)
    yield from (f"  {place}" for place in places(error.__traceback__ or trace))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    inner = [cause] if cause is not None else []
    if isinstance(error, BaseExceptionGroup):
        inner += error.exceptions
    for each in inner if deeper else ():
        yield "because of"
        yield from _lines(each, None, deeper - 1)


def hush(say: Callable[[str], object]) -> None:
    """Have the interpreter tell what nobody caught, and warnings, by *say* and without a text
    of theirs: in this thread, in others, and where nothing can be raised."""

    def uncaught(
        of: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        say(report(error, trace))

    def in_thread(found: threading.ExceptHookArgs) -> None:
        if found.exc_value is not None:
            say(report(found.exc_value, found.exc_traceback))

    def unraisable(found: Any) -> None:
        if found.exc_value is not None:
            say(report(found.exc_value, found.exc_traceback))

    def warned(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        say(f"{_name(category)}\n  {place(filename, lineno)}")

    sys.excepthook = uncaught
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable
    warnings.showwarning = warned


def _name(of: type[Any]) -> str:
    return of.__qualname__ if of.__module__ == "builtins" else f"{of.__module__}.{of.__qualname__}"
