"""Which file systems are in memory, and whether that memory stays there."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

IN_MEMORY = ("tmpfs", "ramfs")

MOUNTS = Path("/proc/self/mountinfo")
SWAPS = Path("/proc/swaps")
CGROUP = Path("/proc/self/cgroup")
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class FileSystem:
    """``name`` as mount(8) has it, ``unknown`` where that cannot be told."""

    name: str
    options: frozenset[str] = frozenset()


def file_system(path: Path) -> FileSystem:
    """What *path*, or the nearest folder above it that exists, is on."""
    while not path.exists() and path != path.parent:
        path = path.parent
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with suppress(OSError):
        for line in MOUNTS.read_text("utf-8", "replace").splitlines():
            # id parent major:minor root place options [more]* - type source options: proc(5)
            front, _, back = line.partition(" - ")
            fields, (name, *_, options) = front.split(), back.split(" ")
            if fields[2] == wanted:
                return FileSystem(name, frozenset(options.split(",")))
    return FileSystem("unknown")


def swappable(path: Path) -> bool:
    """Whether what a file system in memory holds may be written to a swap device."""
    found = file_system(path)
    if found.name == "ramfs" or "noswap" in found.options:
        return False
    return _swaps() and not _without_swap()


def _swaps() -> bool:
    """Whether this machine swaps to anything but compressed memory."""
    with suppress(OSError):
        devices = [line.split()[0] for line in SWAPS.read_text("utf-8").splitlines()[1:]]
        return any(not name.startswith("/dev/zram") for name in devices)
    return True


def _without_swap() -> bool:
    """Whether this process's control group may not swap (cgroup v2, systemd's MemorySwapMax)."""
    with suppress(OSError, StopIteration):
        lines = CGROUP.read_text("utf-8").splitlines()
        group = next(line[3:] for line in lines if line.startswith("0::"))
        return (CGROUPS / group.lstrip("/") / "memory.swap.max").read_text().strip() == "0"
    return False
