"""How long a client believes a directory, where it asks for the next one, and when.

All of it is rules: clock readings and the generator come in as arguments.  A fetch is made at a
random moment of a window that the consensus alone decides, so that nobody learns from it what
its reader is about to do, and so that many readers do not come at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from mixminion.directory.consensus import OVERDUE, Consensus
from mixminion.directory.view import View
from mixminion.dirhttp.sources import Source
from mixminion.interfaces import Random

GRACE = float(OVERDUE)
"""Seconds for which a directory is used after it has expired, so that authorities that are all
down for a day stop nobody."""
ASKED = 6
"""Sources that one fetch tries, before it goes to those that are configured."""
FIRST_RETRY = 60.0
LAST_RETRY = 3600.0
"""Seconds between fetches that fail: doubled from the first to the last."""


class Age(StrEnum):
    """Where a moment lies in the life of a consensus."""

    EARLY = "early"  #: not valid yet
    FRESH = "fresh"
    VALID = "valid"  #: a newer one should be there
    OVERDUE = "overdue"  #: expired, and used with a warning
    ENDED = "ended"  #: not used any more


def age(consensus: Consensus, now: float) -> Age:
    """How old *consensus* is at *now*."""
    if now < consensus.valid_after:
        return Age.EARLY
    if now < consensus.fresh_until:
        return Age.FRESH
    if now < consensus.valid_until:
        return Age.VALID
    return Age.OVERDUE if now < consensus.valid_until + GRACE else Age.ENDED


def window(consensus: Consensus) -> tuple[float, float]:
    """When the consensus after this one is fetched: from a quarter of an interval after it should
    be there (servers fetch it before), or half of this one's life if that is earlier, to an
    eighth of this one's life before its end."""
    life = consensus.valid_until - consensus.valid_after
    begins = consensus.fresh_until + consensus.parameters.consensus_interval / 4
    return min(begins, consensus.valid_after + life / 2), consensus.valid_until - life / 8


def next_fetch(consensus: Consensus, now: float, random: Random) -> float:
    """When to fetch after *consensus* was fetched at *now*; uniform in what is left of its
    window.  Where nothing is left, there is no newer one to be had, and soon is soon enough."""
    begins, ends = window(consensus)
    begins = max(begins, now)
    if begins < ends:
        return begins + random.uniform() * (ends - begins)
    return now + retry(0, consensus.parameters.consensus_interval, random.uniform())


def retry(failures: int, interval: float, draw: float) -> float:
    """Seconds to wait after a fetch that came to nothing, and *failures* before it, by a *draw*
    from 0 to 1; *interval* is between two consensuses."""
    return min(FIRST_RETRY * 2.0 ** min(failures, 16), LAST_RETRY, interval) * (0.5 + draw)


def choose(configured: Sequence[Source], view: View | None, random: Random) -> list[Source]:
    """A few sources at random, among those configured and the network's own servers: who is
    asked most is not who was configured, and who is asked learns nothing of it."""
    servers = () if view is None else view.servers
    known = dict.fromkeys(configured)
    known |= dict.fromkeys(Source(place) for server in servers for place in server.addresses)
    found = list(known)
    random.shuffle(found)
    return found[:ASKED]
