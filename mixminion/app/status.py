"""What ``mixminion server status`` tells first: whether a server needs its operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mixminion.directory.vote import Recommended
from mixminion.mix.protection import Protection
from mixminion.util.times import to_text

DAY = 86_400
WARNING = 14 * DAY
"""Seconds before the signing certificate's end from which on the operator is reminded."""

FULL = 0.85
"""Of what the store takes in before it refuses."""

MIB = 2**20


def filling(used: int, limit: int, map_limit: int) -> Iterator[str]:
    """A sentence when a store is nearly full: *used* octets of *limit*, which would be *map_limit*
    if its disk had all the room that store-limit allows."""
    if used <= FULL * limit:
        return
    share = min(100, 100 * used // max(1, limit))
    remedy = "wait until it has drained, or raise store-limit in [Server]"
    if limit < map_limit:
        remedy = (
            f"make room on its disk, which has {limit / MIB:.1f} MiB for them, where store-limit "
            f"allows {map_limit / MIB:.0f}"
        )
    yield f"The store is {share} % full, and at 100 % packets are refused: {remedy}."


def advice(recommended: Recommended | None, version: str) -> str | None:
    """What to say of this release where the authorities recommend others; None for nothing."""
    versions = () if recommended is None else recommended.servers
    if not versions or version in versions:
        return None
    return (
        f"This is Mixminion {version}, and the network's authorities recommend"
        f" {', '.join(versions)}: install a recommended release."
    )


@dataclass(frozen=True, slots=True)
class Health:
    """What can go wrong with a server that runs.  Times are Unix seconds, sizes octets."""

    ready: bool
    workers: int  #: how many are configured
    running: int  #: how many of them run
    signing_ends: int  #: the signing certificate
    directory_begins: int
    directory_ends: int
    interval: int  #: between two consensuses, seconds
    used: int  #: of the store
    limit: int  #: from which on the store takes nothing in
    map_limit: int  #: the same, if its disk had all the room that store-limit allows
    protections: Sequence[Protection] = ()  #: the workers'

    def attention(self, now: float) -> Iterator[str]:
        """What there is to do, the most urgent first, a sentence each; nothing when all is well."""
        if not self.ready:
            yield (
                "The server takes up what it had stored and is not ready yet; if it stays so, "
                "look into its log."
            )
        if self.running < self.workers:
            yield (
                f"{self.running} of {self.workers} worker processes run; a missing one is "
                "replaced at once, so if it stays so, look into the server's log."
            )
        yield from self._signing(now)
        yield from self._directory(now)
        yield from filling(self.used, self.limit, self.map_limit)
        yield from dict.fromkeys(
            complaint for each in self.protections for complaint in each.complaints()
        )

    def _signing(self, now: float) -> Iterator[str]:
        remedy = "make a new one with `mixminion server certify`"
        if now > self.signing_ends:
            ended = to_text(self.signing_ends)
            yield f"The signing certificate ended at {ended}, nobody takes this server: {remedy}."
        elif now > self.signing_ends - WARNING:
            yield f"The signing certificate ends at {to_text(self.signing_ends)}: {remedy}."

    def _directory(self, now: float) -> Iterator[str]:
        ends = to_text(self.directory_ends)
        remedy = "check the connection, and sources in [Directory]"
        if now < self.directory_begins:
            begins = to_text(self.directory_begins)
            yield f"The directory begins only at {begins}: check this machine's clock."
        elif now >= self.directory_ends:
            yield f"The directory ended at {ends} and no newer one could be fetched: {remedy}."
        elif now > self.directory_ends - self.interval / 2:
            yield f"The directory ends at {ends} and no newer one could be fetched: {remedy}."
