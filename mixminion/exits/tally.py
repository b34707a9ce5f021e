"""What became of the messages of one exit, counted under its own words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from mixminion.interfaces import OutcomeKind

MOST = 64
"""How many different words are counted apart: modules are other people's."""
OTHER = "other"


class Tally:
    """Counts outcomes by kind and word (:mod:`mixminion.exits.words`), as in
    ``permanent-smtp-550``."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, kind: OutcomeKind, reason: str) -> None:
        """One more outcome; beyond :data:`MOST` different ones the word is ``other``."""
        key = f"{kind.value}-{reason}"
        if key not in self._counts and len(self._counts) >= MOST:
            key = f"{kind.value}-{OTHER}"
        self._counts[key] += 1

    def snapshot(self) -> Mapping[str, int]:
        """All counts so far."""
        return dict(self._counts)
