"""Which ways through our code an input takes, seen on a sample of the inputs.

Tracing makes Python ten times slower, so that only one input in :data:`EVERY` is traced;
that is enough to keep those that reach something new, and costs half as much again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import mixminion

EVERY = 24

OURS = mixminion.__path__[0]
"""The folder of our code."""


class Edges:
    """Pairs of lines executed one after the other, in functions of the package."""

    def __init__(self) -> None:
        self.seen: set[tuple[CodeType, int, int]] = set()

    def trace(self, function: Callable[[], object]) -> int:
        """Call *function*; how many edges nobody took before."""
        before = len(self.seen)
        previous = sys.gettrace()
        sys.settrace(self._call)
        try:
            function()
        finally:
            sys.settrace(previous)
        return len(self.seen) - before

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(OURS):
            return None
        last = 0

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            if event == "line":
                self.seen.add((code, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line
