"""A daemon's log: a file that is set aside at a size, so many kept, whatever twistd's options.

What of an event is written, :mod:`mixminion.app.silence` says.
"""

from __future__ import annotations

# mypy: allow-untyped-calls
# (twisted.python.logfile has few annotations)
import sys
from pathlib import Path
from typing import IO, Any, cast

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
)
from twisted.python.logfile import LogFile
from typing_extensions import override
from zope.interface import implementer

from mixminion.app import silence
from mixminion.disk import private


@implementer(ILogObserver)
class Log:
    """Writes events of *level* or above to *file*, mode 0600, and when *foreground* to standard
    output as well.

    Make it a component of the application, so that twistd begins logging to it::

        application.setComponent(ILogObserver, Log(...))
    """

    def __init__(
        self, file: Path, *, level: str, max_size: int, keep: int, foreground: bool
    ) -> None:
        private.make_folder(file.parent)
        self._file = _File(
            file.name,
            str(file.parent),
            rotateLength=max_size,
            defaultMode=0o600,
            maxRotatedFiles=keep,
        )
        outputs = [self._file, *([sys.stdout] if foreground else [])]
        enough = LogLevelFilterPredicate(LogLevel.lookupByName(level))
        self._observers = [
            FilteringLogObserver(FileLogObserver(cast(IO[Any], output), silence.line), [enough])
            for output in outputs
        ]

    def __call__(self, event: LogEvent) -> None:
        for observer in self._observers:
            observer(event)


class _File(LogFile):
    """A log file whose disk may be full for a while: what it does not take is counted, and said
    once it takes lines again.  A server that cannot write its log goes on."""

    _lost = 0

    @override
    def write(self, data: Any) -> None:
        """One event, whole or not at all."""
        lost = f"({self._lost} events could not be written here.)\n" if self._lost else ""
        octets = (lost + data).encode("utf-8", "backslashreplace")
        try:
            if self._file.closed:  # set aside, when there was no room for the next
                self._openFile()
            super().write(octets)
            whole = self._file.tell() == self.size
            if not whole:  # the disk took what it had room for
                self.size = self._file.seek(self.size - len(octets))
                self._file.truncate()
        except OSError:
            whole = False
        self._lost = 0 if whole else self._lost + 1

    @override
    def flush(self) -> None:
        """It is not buffered."""
