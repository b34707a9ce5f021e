"""What ``mixminion authority status`` tells first: whether an authority needs its operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mixminion.util.times import to_text

DAY = 86_400
WARNING = 14 * DAY
"""Seconds before the signing key's end from which on the operator is reminded."""


@dataclass(frozen=True, slots=True)
class Health:
    """What can go wrong with an authority that runs.  Times are Unix seconds."""

    ready: bool
    signing_ends: int
    waiting: int = 0  #: newcomers that wait for the operator's word
    complaint: str | None = None  #: about the figures
    stale: Sequence[str] = ()  #: pingers' operators whose figures are too old to count
    problems: Sequence[str] = ()  #: about the exchange, a sentence each

    def attention(self, now: float) -> Iterator[str]:
        """What there is to do, the most urgent first, a sentence each; nothing when all is well."""
        if not self.ready:
            yield (
                "The authority reads its register and is not ready yet; if it stays so, look into"
                " its log."
            )
        remedy = "make a new one with `mixminion authority certify`"
        ends = to_text(self.signing_ends)
        if now >= self.signing_ends:
            yield f"The signing key ended at {ends}, this authority's votes do not count: {remedy}."
        elif now > self.signing_ends - WARNING:
            yield f"The signing key ends at {ends}: {remedy}."
        yield from self.problems
        if self.waiting:
            servers = "server waits" if self.waiting == 1 else "servers wait"
            yield (
                f"{self.waiting} new {servers} for your word: `mixminion authority servers --state"
                " waiting` shows them, `mixminion authority approve NAME` lets one in."
            )
        if self.complaint is not None:
            yield f"{self.complaint} The last good ones are used."
        for operator in self.stale:
            yield f"The figures of {operator} are too old to count: see whether that pinger runs."
