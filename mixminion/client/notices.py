"""What a sender is told about the directory he uses, at each use: warnings, never refusals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mixminion import __version__
from mixminion.client.chain import Chain, before, chain
from mixminion.client.life import GRACE, Age, age
from mixminion.directory.checks import duration
from mixminion.directory.consensus import Consensus
from mixminion.dirhttp.documents import Known
from mixminion.dirhttp.evidence import Evidence
from mixminion.paths.deviations import Deviation
from mixminion.util import times

RELEASE = "release-not-recommended"
"""The code of the warning about this software's release."""


def of_directory(
    consensus: Consensus, known: Sequence[Known], evidence: Iterable[Evidence], now: float
) -> Iterator[Deviation]:
    """All of them, for the consensus in use, of those *known*."""
    yield from of_age(consensus, now)
    yield from of_evidence(evidence)
    yield from of_chain(consensus, known)
    yield from of_release(consensus)


def of_age(consensus: Consensus, now: float) -> Iterator[Deviation]:
    """A directory that has expired and is used all the same."""
    if age(consensus, now) is Age.OVERDUE:
        left = duration(consensus.valid_until + GRACE - now)
        yield Deviation(
            "directory-overdue",
            f"The directory expired at {times.to_text(consensus.valid_until)},"
            f" {duration(now - consensus.valid_until)} ago, and is used for another {left};"
            " run `mixminion update`, at a time when you send nothing.",
        )


def of_evidence(evidence: Iterable[Evidence]) -> Iterator[Deviation]:
    """Authorities that signed two consensuses for one time."""
    for each in evidence:
        yield Deviation(
            "two-directories",
            f"Authorities have signed two directories for {times.to_text(each.valid_after)};"
            " `mixminion directory show` says which and what to do.",
        )


def of_chain(consensus: Consensus, known: Sequence[Known]) -> Iterator[Deviation]:
    """A consensus that follows another one of the time before it than the one held."""
    if chain(consensus, known) is Chain.BROKEN:
        yield Deviation(
            "directory-chain",
            f"The directory of {times.to_text(consensus.valid_after)} does not follow the one of"
            f" {times.to_text(before(consensus))} that is held here, but another: authorities"
            " may have signed two; tell the network's operators.",
        )


def of_release(consensus: Consensus, version: str = __version__) -> Iterator[Deviation]:
    """A release of this software that the authorities do not recommend."""
    recommended = () if consensus.recommended is None else consensus.recommended.clients
    if recommended and version not in recommended:
        yield Deviation(
            RELEASE,
            f"This is Mixminion {version}, and the network recommends {_either(recommended)};"
            " install that.",
        )


def _either(versions: Sequence[str]) -> str:
    *others, last = versions
    return f"{', '.join(others)} or {last}" if others else last
