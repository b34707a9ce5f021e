"""The terms of a consensus, from votes: parameters, key periods, recommended releases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mixminion.directory.agreement import agreed, low_median, named_by
from mixminion.directory.consensus import Consensus
from mixminion.directory.parameters import Parameters
from mixminion.directory.vote import Recommended, Vote, VotedPeriod

MOST_PERIODS = 8
MOST_RELEASES = 32


def parameters(votes: Sequence[Vote], needed: int, previous: Consensus | None) -> Parameters:
    """Each number the low median, each word the one that at least *needed* votes have, or else
    *previous*: a word that only a few know would stop servers."""
    before = Parameters() if previous is None else previous.parameters
    found: dict[str, Any] = {}
    for name in Parameters.__struct_fields__:
        values = [getattr(vote.parameters, name) for vote in votes]
        if isinstance(values[0], str):
            found[name] = agreed(values, needed) or getattr(before, name)
        else:
            found[name] = low_median(values)
    return Parameters(**found)


def key_periods(
    votes: Sequence[Vote], needed: int, valid_after: int, previous: Consensus | None
) -> list[VotedPeriod]:
    """The current one and those that follow it, each as at least *needed* votes have it, or as
    *previous* has it: what was listed once stays as it was until a majority wants it
    otherwise.  None where nobody agrees on the current one."""
    counted = named_by((vote.key_periods for vote in votes), needed)
    listed = (
        {} if previous is None else {each.number: _voted(each) for each in previous.key_periods}
    )
    known = listed | {each.number: each for each in counted}
    current = [
        each
        for some in (counted, listed.values())
        for each in some
        if each.begins <= valid_after < each.ends
    ]
    chain = current[:1]
    while chain and len(chain) < MOST_PERIODS:
        last, following = chain[-1], known.get(chain[-1].number + 1)
        if following is None or following.begins != last.ends:
            break
        if following.geometry.packet != last.geometry.packet:
            break
        chain.append(following)
    return chain


def _voted(period: VotedPeriod) -> VotedPeriod:
    """Without the digest of its keys."""
    return VotedPeriod(
        number=period.number, begins=period.begins, ends=period.ends, geometry=period.geometry
    )


def recommended(votes: Sequence[Vote], needed: int) -> Recommended | None:
    """Releases that at least *needed* votes recommend."""
    given = [vote.recommended for vote in votes if vote.recommended is not None]
    found = Recommended(
        clients=_first(named_by((each.clients for each in given), needed)),
        servers=_first(named_by((each.servers for each in given), needed)),
    )
    return found if found.clients or found.servers else None


def _first(releases: set[str]) -> tuple[str, ...]:
    """As many as there is room for: three lists of 32 can agree in pairs on 48."""
    return tuple(sorted(releases)[:MOST_RELEASES])
