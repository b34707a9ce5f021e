"""How far long work is: a line that changes on a terminal, and nothing elsewhere."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from mixminion import api

_FULL, _EMPTY = "#", "."
_LONGEST = 40


class Bar:
    """The last line of a terminal; on anything else, and for ``TERM=dumb``, it takes nothing."""

    def __init__(self, stream: TextIO | None = None, *, columns: int | None = None) -> None:
        self._stream = stream
        self._columns = columns
        self._shown = False
        self._documents = 0

    def took(self, event: api.Event) -> bool:
        """Whether *event* was shown here, so that it needs no line of its own."""
        if not self._terminal:
            return False
        from mixminion import api

        match event:
            case api.HandedOver(packets, of) if packets < of:
                self._show(drawn(packets, of, self._width) + f" {packets:,} of {of:,} packets")
                return True
            case api.Asked(_, _, None):
                self._documents += 1
                documents = "document" if self._documents == 1 else "documents"
                self._show(f"fetching the directory: {self._documents} {documents}")
        return False

    def clear(self) -> None:
        """Take it away, before anything else is written."""
        if self._shown:
            self._shown = False
            self._write("\r\x1b[K")

    @property
    def _terminal(self) -> bool:
        stream = sys.stderr if self._stream is None else self._stream
        return stream.isatty()

    @property
    def _width(self) -> int:
        columns = self._columns or shutil.get_terminal_size().columns
        return max(4, min(_LONGEST, columns - 30))

    def _show(self, text: str) -> None:
        self._shown = True
        self._write(f"\r{text}\x1b[K")

    def _write(self, text: str) -> None:
        stream = sys.stderr if self._stream is None else self._stream
        stream.write(text)
        stream.flush()


def drawn(done: int, of: int, width: int) -> str:
    """``[####......]``."""
    full = width * done // of if of else width
    return f"[{_FULL * full}{_EMPTY * (width - full)}]"
