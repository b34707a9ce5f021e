"""How a consensus stands to the one before it: each names the one it follows."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from mixminion.directory.consensus import Consensus
from mixminion.dirhttp.documents import Known


class Chain(StrEnum):
    """What is known here of the consensus that another one follows."""

    FIRST = "first"  #: there is none before it
    GAP = "gap"  #: the authorities did not agree on one
    HELD = "held"
    NOT_HELD = "not-held"
    BROKEN = "broken"  #: another one of that time is held


def chain(consensus: Consensus, known: Sequence[Known]) -> Chain:
    """How *consensus* stands to the one before it, where those *known* are held."""
    if consensus.gap:
        return Chain.GAP
    if consensus.previous is None:
        return Chain.FIRST
    if any(each.digest == consensus.previous for each in known):
        return Chain.HELD
    times = [each.valid_after for each in known]
    return Chain.BROKEN if before(consensus) in times else Chain.NOT_HELD


def before(consensus: Consensus) -> int:
    """The time of the consensus before it, if none was left out."""
    return consensus.valid_after - consensus.parameters.consensus_interval
