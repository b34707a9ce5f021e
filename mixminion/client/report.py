"""What a client holds of the directory, as its user is shown it; nothing is fetched for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mixminion.client.chain import Chain, chain
from mixminion.client.life import Age, age
from mixminion.directory.bootstrap import Authority
from mixminion.directory.consensus import Consensus
from mixminion.directory.errors import BadDocument
from mixminion.directory.standings import Standings, standings
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.evidence import FOLDER, Evidence
from mixminion.paths.deviations import Deviation


@dataclass(frozen=True, slots=True)
class HeldConsensus:
    """One consensus that is held, and what it is worth now."""

    consensus: Consensus
    digest: bytes  #: SHA-256 of its payload
    age: Age
    chain: Chain
    standings: Standings


@dataclass(frozen=True, slots=True)
class SignedTwice:
    """Evidence that is held: two consensuses for one time."""

    valid_after: int
    digests: tuple[bytes, ...]
    offenders: tuple[Authority, ...]  #: whose signature is on both
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class DirectoryReport:
    """Everything that is held, the newest consensus first; that one is used."""

    held: tuple[HeldConsensus, ...]
    evidence: tuple[SignedTwice, ...]
    next_fetch: float | None  #: when a running program fetches next, Unix seconds
    warnings: tuple[Deviation, ...]


async def held(
    cache: DocumentCache, authorities: Sequence[Authority], now: float
) -> tuple[HeldConsensus, ...]:
    """The consensuses of *cache*, the newest first."""
    found = []
    for known in cache.known:
        octets = await cache.consensus(known.digest)
        if octets is not None:
            consensus, envelope = Consensus.open(octets)
            found.append(
                HeldConsensus(
                    consensus,
                    known.digest,
                    age(consensus, now),
                    chain(consensus, cache.known),
                    standings(envelope, authorities, now),
                )
            )
    return tuple(found)


async def evidence(
    cache: DocumentCache, authorities: Sequence[Authority], folder: Path
) -> tuple[SignedTwice, ...]:
    """The evidence of *cache*, whose files are under *folder*."""
    found = []
    for each in cache.evidence:
        files = tuple(
            folder / FOLDER / f"{each.valid_after}-{digest.hex()}" for digest in each.digests
        )
        offenders = await _offenders(cache, each, authorities)
        found.append(SignedTwice(each.valid_after, each.digests, offenders, files))
    return tuple(found)


async def _offenders(
    cache: DocumentCache, evidence: Evidence, authorities: Sequence[Authority]
) -> tuple[Authority, ...]:
    signed: list[set[Authority]] = []
    for octets in await cache.witnesses(evidence):
        try:
            consensus, envelope = Consensus.open(octets)
        except BadDocument:
            return ()
        signed.append({*standings(envelope, authorities, consensus.valid_after).signed})
    both = set.intersection(*signed) if signed else set()
    return tuple(each for each in authorities if each in both)
