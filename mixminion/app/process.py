"""What a process asks of the operating system for its own safety, and what it got."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import Any

from mixminion.mix.protection import Protection

PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
MCL_CURRENT = 1  # other values on some machines, where mlockall then refuses these
MCL_FUTURE = 2

STATUS = Path("/proc/self/status")

_libc: Any = ctypes.CDLL(None, use_errno=True)


def harden() -> None:
    """No core dump, and on Linux not dumpable: other processes of this user cannot read it.

    The second ends with an ``exec``, so that each program asks for itself.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if hasattr(_libc, "prctl"):
        _libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def lock_memory(spare: int) -> Protection:
    """Lock all memory of this process, what it takes later included, and tell how that went.

    Where less than *spare* octets more could be locked nothing is: with the limit reached the
    next allocation would fail, and the process with it.
    """
    with suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (most, most))
    size = _kilobytes("VmSize")
    needed = None if size is None else size + spare // 1024
    return protection(unlocked=_lock(spare), needed=needed)


def _lock(spare: int) -> str | None:
    """Why not, or None."""
    if not hasattr(_libc, "mlockall"):
        return "this system cannot lock memory"
    if _libc.mlockall(MCL_CURRENT | MCL_FUTURE):
        return os.strerror(ctypes.get_errno())
    try:
        mmap.mmap(-1, spare, prot=0).close()  # counted, but never filled
    except OSError as error:
        _libc.munlockall()
        return os.strerror(error.errno or 0)
    return None


def protection(*, unlocked: str | None = None, needed: int | None = None) -> Protection:
    """What protects this process now."""
    dumpable = _libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) if hasattr(_libc, "prctl") else -1
    return Protection(
        locked=_kilobytes("VmLck"),
        size=_kilobytes("VmSize"),
        needed=needed,
        limit=_limit(resource.RLIMIT_MEMLOCK),
        unlocked=unlocked,
        dumpable=None if dumpable < 0 else dumpable == 1,
        core=_limit(resource.RLIMIT_CORE),
    )


def _limit(which: int) -> int | None:
    soft, _ = resource.getrlimit(which)
    return None if soft == resource.RLIM_INFINITY else soft // 1024


def _kilobytes(name: str) -> int | None:
    """A line of proc(5)'s status; None where there is none."""
    with suppress(OSError):
        for line in STATUS.read_text("ascii", "replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
    return None
