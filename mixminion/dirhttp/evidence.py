"""Proof that authorities signed two consensuses for one time, kept until somebody has seen to it.

Each document stands in its envelope in a file ``VALIDAFTER-DIGEST`` (decimal Unix seconds; the
payload's SHA-256 in hexadecimal).  Two of one time are the proof, since every believed
consensus has the signatures of a majority and two majorities have an authority in common.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mixminion.dirhttp.files import Files

FOLDER = "evidence"
MOST = 8
"""Times of which evidence is kept: the first ones, until the files are taken away."""

_NAME = re.compile(r"(?P<time>[0-9]{1,12})-(?P<digest>[0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Evidence:
    """Consensuses that were signed for one time."""

    valid_after: int  #: Unix seconds
    digests: tuple[bytes, ...]  #: of their payloads, two


class EvidenceFiles:
    """The evidence in *files*."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def all(self) -> tuple[Evidence, ...]:
        """What is kept, by time."""
        found: dict[int, list[bytes]] = {}
        for name in self._files.names():
            if match := _NAME.fullmatch(name):
                found.setdefault(int(match["time"]), []).append(bytes.fromhex(match["digest"]))
        pairs = (Evidence(time, tuple(digests)) for time, digests in found.items())
        return tuple(sorted(each for each in pairs if len(each.digests) > 1))

    def keep(self, valid_after: int, envelopes: Mapping[bytes, bytes]) -> bool:
        """Keep two *envelopes*, by their payloads' digests; False where there is no room, or
        evidence for that time already."""
        known = self.all()
        if len(known) >= MOST or any(each.valid_after == valid_after for each in known):
            return False
        for digest, octets in envelopes.items():
            self._files.write(f"{valid_after}-{digest.hex()}", octets)
        return True

    def read(self, evidence: Evidence) -> list[bytes]:
        """The two envelopes.  Raises :class:`FileNotFoundError` and what the files raise."""
        return [
            self._files.read(f"{evidence.valid_after}-{digest.hex()}")
            for digest in evidence.digests
        ]
