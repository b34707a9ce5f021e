"""The key periods that an authority votes for: what was listed stays as it was listed.

Packets are made for listed periods, and servers have keys for them, so that a line in a
configuration must not move a border or change a suite under them.
"""

from __future__ import annotations

from mixminion.authority.config import NetworkSection
from mixminion.directory.consensus import OVERDUE, Consensus
from mixminion.directory.vote import VotedPeriod

PERIODS = 3
"""Key periods that are voted for: the current one and two ahead."""


def periods(
    network: NetworkSection, at: int, previous: Consensus | None
) -> tuple[VotedPeriod, ...]:
    """The key period of the moment *at* and those after it.

    Those that the *previous* consensus lists have the borders they have there.  Others follow
    without a gap, of the length that is configured.  Each has the geometry that is configured,
    but those listed that begin before the last reader of that consensus must have got another.
    """
    length = network.parameters().key_period
    listed = {} if previous is None else {each.number: each for each in previous.key_periods}
    settled = 0 if previous is None else previous.valid_until + OVERDUE
    number, begins = _current(at, length, previous)
    found = []
    for _ in range(PERIODS):
        before = listed.get(number)
        if before is None:
            ends, geometry = begins + length, network.geometry(number)
        else:
            ends = before.ends
            geometry = before.geometry if before.begins < settled else network.geometry(number)
        found.append(VotedPeriod(number=number, begins=begins, ends=ends, geometry=geometry))
        number, begins = number + 1, ends
    return tuple(found)


def _current(at: int, length: int, previous: Consensus | None) -> tuple[int, int]:
    """Number and beginning of the period of *at*."""
    if previous is None or at < previous.key_periods[0].begins:
        return at // length, at // length * length
    for each in previous.key_periods:
        if each.begins <= at < each.ends:
            return each.number, each.begins
    last = previous.key_periods[-1]
    gone = (at - last.ends) // length
    return last.number + 1 + gone, last.ends + gone * length
