"""Waiting for another process."""

from __future__ import annotations

import time
from collections.abc import Callable

PAUSE = 0.05


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether *condition* came true within *seconds*; it is asked twenty times a second."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(PAUSE)
    return True
