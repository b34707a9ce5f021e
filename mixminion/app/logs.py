"""The server's log: a file that is set aside at a size, so many kept, whatever twistd's options."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, Any, cast

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    textFileLogObserver,
)
from twisted.python.logfile import LogFile
from zope.interface import implementer

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
        self._file = LogFile(
            file.name,
            str(file.parent),
            rotateLength=max_size,
            defaultMode=0o600,
            maxRotatedFiles=keep,
        )
        outputs = [self._file, *([sys.stdout] if foreground else [])]
        enough = LogLevelFilterPredicate(LogLevel.lookupByName(level))
        self._observers = [
            FilteringLogObserver(textFileLogObserver(cast(IO[Any], output)), [enough])
            for output in outputs
        ]

    def __call__(self, event: LogEvent) -> None:
        for observer in self._observers:
            observer(event)
