"""How a daemon ends that found too late that it cannot go on."""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

INTERRUPTED = 130


class NotStarted(Exception):
    """What twistd's first process says of a daemon that could not begin: where the reason is."""


def give_up(reactor: Any, code: int) -> None:
    """End the process; twistd alone would end with 0 whatever happened."""
    atexit.register(os._exit, code)
    reactor.callWhenRunning(reactor.stop)


def tell_parent(log: Path) -> NoReturn:
    """Have twistd's first process end with 1 instead of 0; called in ``privilegedStartService``,
    after *log* has got the reason.

    An exception that leaves it is what twistd tells that process; ``SystemExit`` it does not.
    """
    sys.excepthook = lambda *what: None  # twistd raises it again here, and all is said
    raise NotStarted(f"see {log}")
