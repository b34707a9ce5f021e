"""What an authority tells its operator of the rounds, and remembers of each instant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from twisted.logger import Logger

from mixminion.authority.conduct import REMEMBERED, Remembered
from mixminion.authority.instant import Instant, Phase
from mixminion.authority.office import Office
from mixminion.authority.poll import Poll
from mixminion.authority.signing import Signing
from mixminion.directory.checks import SignedConsensus, Standing
from mixminion.errors import OperatorError

log = Logger()


class Bulletin:
    """Reports of instants in the archive, and the status."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._refusals: Counter[str] = Counter()
        self._last: dict[str, dict[bytes, int]] = {"voted": {}, "signed": {}}

    def count(self, word: str | None) -> None:
        """Something was refused, for that reason."""
        if word is not None:
            self._refusals[word] += 1

    # -- reports ---------------------------------------------------------------------------------

    def load(self) -> None:
        """Remember what the last reports say."""
        archive = self._office.archive
        for valid_after in reversed(archive.instants("report")[:REMEMBERED]):
            report = archive.report(valid_after) or {}
            for who in self._office.authorities:
                try:
                    self._remember(who, valid_after, report["authorities"][who.hex()])
                except (LookupError, TypeError, ValueError):
                    continue  # it was none then, or the report is damaged

    def _remember(self, who: bytes, valid_after: int, told: Any) -> None:
        for what, last in self._last.items():
            if told[what] is True:
                last[who] = valid_after
        for each in told["misdeeds"]:
            found = Remembered.read(each)
            self._office.conduct.note(who, found.valid_after, found.misdeed, found.detail)

    def reported(self, valid_after: int) -> bool:
        """Whether the verdicts on the votes of that instant were final before a restart."""
        return self._office.archive.has(valid_after, "report")

    def report(self, poll: Poll, signing: Signing) -> None:
        """Keep what has come of an instant by now."""
        office, collection = self._office, signing.collection
        signers = frozenset() if collection is None else collection.signers
        for who in office.authorities:
            did = {"voted": poll.exchange.ballot(who) is not None, "signed": who in signers}
            for what in (each for each, done in did.items() if done):
                self._last[what][who] = max(poll.valid_after, self._last[what].get(who, 0))
        told: dict[str, Any] = {
            "authorities": {
                who.hex(): {
                    "voted": poll.exchange.ballot(who) is not None,
                    "signed": who in signers,
                    "misdeeds": [
                        each.report() for each in office.conduct.of(who, poll.valid_after)
                    ],
                }
                for who in office.authorities
            }
        }
        if collection is not None:
            told["digest"] = collection.digest.hex()
        try:
            office.archive.keep_report(poll.valid_after, told)
        except OperatorError as error:
            log.error("A report could not be kept ({code}).", code=error.code)

    # -- the status ------------------------------------------------------------------------------

    def status(
        self,
        latest: SignedConsensus | None,
        current: Instant | None,
        instants: Iterable[Instant],
    ) -> Mapping[str, Any]:
        """JSON values; what there is not is left out."""
        office = self._office
        under_way = sorted(instants, key=lambda each: each.schedule.valid_after)
        told: dict[str, Any] = {
            "clock-ahead": round(office.contacts.ahead),
            "refusals": dict(sorted(self._refusals.items())),
            "instants": [_instant(each, office.now) for each in under_way],
            "authorities": {who.hex(): self._authority(who) for who in office.authorities},
        }
        if current is not None:
            told["next"] = {
                "valid-after": current.schedule.valid_after,
                "begins": round(current.schedule.begins),
                "rounds": current.schedule.rounds,
            }
        if latest is not None:
            told["consensus"] = _consensus(latest, len(office.authorities))
        return told

    def _authority(self, who: bytes) -> dict[str, Any]:
        office = self._office
        told: dict[str, Any] = {what: last[who] for what, last in self._last.items() if who in last}
        ahead = office.contacts.ahead if who == office.identity else office.contacts.ahead_of(who)
        if ahead is not None:
            told["clock-ahead"] = round(ahead)
        if who in office.contacts.silent:
            told["silent"] = office.contacts.silent[who]
        if who in office.contacts.refusing:
            told["refuses"] = office.contacts.refusing[who]
        told["misdeeds"] = [each.report() for each in office.conduct.of(who)]
        return told


def _consensus(latest: SignedConsensus, known: int) -> dict[str, Any]:
    signed = [who for who, each in latest.tally.standings.items() if each is Standing.SIGNED]
    return {
        "valid-after": latest.consensus.valid_after,
        "valid-until": latest.consensus.valid_until,
        "digest": latest.digest.hex(),
        "signed": sorted(who.hex() for who in signed),
        "needed": known // 2 + 1,
    }


def _instant(instant: Instant, now: float) -> dict[str, Any]:
    told: dict[str, Any] = {
        "valid-after": instant.schedule.valid_after,
        "phase": str(instant.phase),
    }
    if instant.phase is Phase.VOTING:
        told["round"] = instant.schedule.round(now)
    problems = [each for each in (instant.poll.problem, instant.signing.problem) if each]
    if problems:
        told["problems"] = problems
    claims: dict[str, list[str]] = {}
    for who, digest in sorted(instant.signing.claims.items()):
        claims.setdefault(digest.hex(), []).append(who.hex())
    if claims:
        told["other-consensuses"] = claims
    return told
