"""What a process asks of the operating system for its own safety."""

from __future__ import annotations

import ctypes
import resource

PR_SET_DUMPABLE = 4


def harden() -> None:
    """No core dump, and on Linux not dumpable: other processes of this user cannot read it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
