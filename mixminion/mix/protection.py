"""What keeps a process's memory from disks and from other processes, and what is missing.

A worker tells it of itself: what it asked of the operating system is not what it got
everywhere (:mod:`mixminion.app.process` asks).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from mixminion.mix.batches import BrokenAnswer

STEP = 16_384
"""kB of which the limit that people are told to set is a multiple."""


@dataclass(frozen=True, slots=True)
class Protection:
    """One process.  Sizes are in kB; None is what the operating system does not tell."""

    locked: int | None  #: how much of its memory never goes to a disk
    size: int | None  #: of all its memory, mapped files included
    needed: int | None  #: what it has to be allowed to lock
    limit: int | None  #: what it is allowed to lock
    unlocked: str | None  #: why its memory is not locked; None when it is
    dumpable: bool | None  #: whether other processes of its user can read its memory
    core: int | None  #: how much of its memory may be written as a core dump

    def encode(self) -> bytes:
        """JSON."""
        return json.dumps(asdict(self)).encode("ascii")

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """What :meth:`encode` made; raises :class:`~mixminion.mix.batches.BrokenAnswer`."""
        try:
            found = json.loads(octets)
            return cls(**{field.name: found[field.name] for field in fields(cls)})
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenAnswer() from error

    def for_status(self) -> Mapping[str, Any]:
        """JSON values under the names that people see."""
        return {
            "locked-kB": self.locked,
            "size-kB": self.size,
            "lock-limit-kB": self.limit,
            "dumpable": self.dumpable,
            "core-limit-kB": self.core,
        }

    def complaints(self) -> Iterator[str]:
        """What is missing and the line that mends it, a sentence each."""
        if self.unlocked is not None:
            yield f"Packet keys are not in locked memory ({self.unlocked}): {self._remedy()}."
        if self.dumpable is True:
            yield (
                "Other processes of the server's user can read a worker's memory, packet keys "
                "included: run nothing else as that user."
            )
        if self.core:
            yield (
                "A worker's memory, packet keys included, may be written as a core dump: set "
                "LimitCORE=0 in the systemd unit, or run `ulimit -c 0` before the server starts."
            )

    def _remedy(self) -> str:
        if self.needed is None or self.limit is None or self.limit >= self.needed:
            return "they may be written to swap, so run this server without swap (`swapoff -a`)"
        enough = -(-self.needed // STEP) * STEP
        return (
            f"a worker needs {enough} kB and may lock {self.limit} kB, so set "
            f"LimitMEMLOCK={enough // 1024}M in the systemd unit, or run `ulimit -l {enough}` "
            "as root before the server starts"
        )
