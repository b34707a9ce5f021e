"""What an authority keeps of each instant, in one folder of files:

=============================  ================================================================
``TIME-vote-AUTHOR-DIGEST``    a vote that was taken, its own too, with the signatures it had
``TIME-stray-AUTHOR-DIGEST``   a vote that was signed and had no effect
``TIME-signed``                the consensus it has signed, with the signatures that came
``TIME-consensus``             the same, or another, once a majority had signed it
``TIME-second``                another consensus that a majority signed
``TIME-evidence-AUTHOR``       two votes of one author
``TIME-report``                what came of each author
``keys-DIGEST``                a key document of one of the three newest consensuses
=============================  ================================================================

``TIME`` is the valid-after, in Unix seconds; authors and digests are hexadecimal.  Everything is
on the disk when a call returns: what is sent was written before, so that a restart never says
another thing for the same instant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from twisted.logger import Logger

from mixminion.authority.ballots import Ballot
from mixminion.authority.folder import Folder
from mixminion.crypto import kdf
from mixminion.directory import canonical
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.errors import BadDocument
from mixminion.disk.errors import PrivateFileError

log = Logger()

DAY = 86_400
HELD = 3
"""Consensuses whose key documents are kept: that many are valid at once."""
LIFE = {
    "vote": DAY,
    "stray": DAY,
    "signed": DAY,
    "consensus": 7 * DAY,
    "report": 30 * DAY,
    "evidence": 365 * DAY,
    "second": 365 * DAY,
}
"""Seconds for which files are kept, by kind."""

_NAME = re.compile(r"([0-9]{1,12})-([a-z]+)(?:-([0-9a-f]{64}))?(?:-([0-9a-f]{64}))?")
_KEYS = "keys-"


class Archive:
    """The archive in *folder*."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    # -- votes -----------------------------------------------------------------------------------

    def keep_vote(self, ballot: Ballot) -> None:
        """Keep a vote that was taken."""
        self._folder.write(_vote("vote", ballot), ballot.octets)

    def keep_stray(self, ballot: Ballot) -> None:
        """Keep a vote that had no effect."""
        self._folder.write(_vote("stray", ballot), ballot.octets)

    def votes(self, valid_after: int, kind: str = "vote") -> list[bytes]:
        """All that were taken (or the ``stray`` ones) for an instant, in their envelopes."""
        return list(self._all(valid_after, kind))

    def vote(self, valid_after: int, author: bytes) -> bytes | None:
        """The vote of one author that was taken; the first by digest, if there are two."""
        return next(self._all(valid_after, "vote", author), None)

    def has(self, valid_after: int, kind: str, author: bytes | None = None) -> bool:
        """Whether there is such a file, readable or not: who said something once says nothing
        else, even if he cannot read what it was."""
        return any(
            (int(match[1]), match[2]) == (valid_after, kind)
            and author in (None, bytes.fromhex(match[3] or ""))
            for match in self._matches()
        )

    def keep_evidence(self, valid_after: int, author: bytes, ballots: Iterable[Ballot]) -> None:
        """Keep two votes of one author: a canonical JSON array of their envelopes."""
        array = [canonical.decode(ballot.octets) for ballot in ballots]
        self._folder.write(f"{valid_after}-evidence-{author.hex()}", canonical.encode(array))

    def evidence(self, valid_after: int, author: bytes) -> bytes | None:
        """What :meth:`keep_evidence` kept."""
        return self._read(f"{valid_after}-evidence-{author.hex()}")

    # -- consensuses -----------------------------------------------------------------------------

    def keep_signed(self, valid_after: int, octets: bytes) -> None:
        """Keep the consensus that was signed here, in its envelope."""
        self._folder.write(f"{valid_after}-signed", octets)

    def signed(self, valid_after: int) -> bytes | None:
        """The consensus that was signed here."""
        return self._read(f"{valid_after}-signed")

    def keep_keys(self, keys: Mapping[bytes, bytes]) -> None:
        """Keep key documents, by digest."""
        there = {*self._folder.names()}
        for digest, octets in keys.items():
            if _KEYS + digest.hex() not in there:
                self._folder.write(_KEYS + digest.hex(), octets)

    def keys(self, digest: bytes) -> bytes | None:
        """A key document, if it is kept and whole."""
        octets = self._read(_KEYS + digest.hex())
        return octets if octets is not None and kdf.sha256(octets) == digest else None

    def keep_consensus(self, signed: SignedConsensus, keys: Mapping[bytes, bytes]) -> None:
        """Keep a consensus that a majority signed, its key documents first."""
        self.keep_keys(keys)
        self._folder.write(f"{signed.consensus.valid_after}-consensus", signed.octets)

    def consensus(self, valid_after: int) -> bytes | None:
        """The consensus of an instant, in its envelope."""
        return self._read(f"{valid_after}-consensus")

    def keep_second(self, valid_after: int, octets: bytes) -> None:
        """Keep another consensus of an instant, which must never be."""
        self._folder.write(f"{valid_after}-second", octets)

    def instants(self, kind: str = "consensus") -> list[int]:
        """The instants of which there is a file of that kind, the newest first."""
        found = {int(match[1]) for match in self._matches() if match[2] == kind}
        return sorted(found, reverse=True)

    # -- reports ---------------------------------------------------------------------------------

    def keep_report(self, valid_after: int, report: Mapping[str, Any]) -> None:
        """Keep what came of an instant: JSON values."""
        self._folder.write(f"{valid_after}-report", canonical.encode(report))

    def report(self, valid_after: int) -> Mapping[str, Any] | None:
        """What :meth:`keep_report` kept, if it can be read."""
        octets = self._read(f"{valid_after}-report")
        try:
            found = canonical.decode(octets) if octets is not None else None
        except BadDocument:
            return None
        return found if isinstance(found, dict) else None

    # -- age -------------------------------------------------------------------------------------

    def prune(self, now: float) -> None:
        """Let go of what is older than :data:`LIFE` says; the newest consensuses stay."""
        newest = self.instants()[:HELD]
        for match in self._matches():
            instant, kind = int(match[1]), match[2]
            old = instant < now - LIFE.get(kind, 0)
            if old and not (kind == "consensus" and instant in newest):
                self._folder.remove(match[0])

    def prune_keys(self, wanted: Iterable[bytes]) -> None:
        """Let go of all key documents but those of these digests."""
        names = {_KEYS + digest.hex() for digest in wanted}
        for name in self._folder.names():
            if name.startswith(_KEYS) and name not in names:
                self._folder.remove(name)

    # -- inside ----------------------------------------------------------------------------------

    def _matches(self) -> Iterator[re.Match[str]]:
        for name in self._folder.names():
            match = _NAME.fullmatch(name)
            if match is not None:
                yield match

    def _all(self, valid_after: int, kind: str, author: bytes | None = None) -> Iterator[bytes]:
        for match in self._matches():
            right = (int(match[1]), match[2]) == (valid_after, kind)
            if right and author in (None, bytes.fromhex(match[3] or "")):
                octets = self._read(match[0])
                if octets is not None:
                    yield octets

    def _read(self, name: str) -> bytes | None:
        try:
            return self._folder.read(name)
        except FileNotFoundError:
            return None
        except PrivateFileError as error:
            log.warn("a file of the archive cannot be used: {code}", code=error.code)
            return None


def _vote(kind: str, ballot: Ballot) -> str:
    author, digest = ballot.author.hex(), ballot.digest.hex()
    return f"{ballot.vote.valid_after}-{kind}-{author}-{digest}"
