"""What each authority did that it should not have done, for this authority's operator."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

REMEMBERED = 32
"""Misdeeds of one authority."""


class Misdeed(StrEnum):
    """What an authority can do wrong; the first ones are verdicts of the exchange."""

    ABSENT = "absent"
    OTHER_INSTANT = "other-instant"
    LATE = "late"
    GARBLED = "garbled"
    UNAVAILABLE = "unavailable"
    EQUIVOCATED = "equivocated"
    SECOND_VOTE = "second-vote"  #: too late to have an effect; the first one counts
    NO_SIGNATURE = "no-signature"
    LATE_SIGNATURE = "late-signature"
    OTHER_CONSENSUS = "other-consensus"  #: it signed another one than most
    TWO_CONSENSUSES = "two-consensuses"  #: it signed two that both have a majority
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Remembered:
    """One misdeed, at the instant of a consensus."""

    valid_after: int
    misdeed: Misdeed
    detail: str = ""

    def report(self) -> dict[str, Any]:
        """JSON values."""
        told: dict[str, Any] = {"valid-after": self.valid_after, "what": str(self.misdeed)}
        return told | {"detail": self.detail} if self.detail else told

    @classmethod
    def read(cls, told: Any) -> Remembered:
        """What :meth:`report` told.

        :raises ValueError: it is something else.
        """
        try:
            return cls(int(told["valid-after"]), Misdeed(told["what"]), str(told.get("detail", "")))
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError from error


class Conduct:
    """The misdeeds of *authorities*, the last ones of each."""

    def __init__(self, authorities: Iterable[bytes]) -> None:
        self._misdeeds: dict[bytes, deque[Remembered]] = {
            each: deque(maxlen=REMEMBERED) for each in authorities
        }

    def note(self, who: bytes, valid_after: int, misdeed: Misdeed, detail: str = "") -> None:
        """Remember it; a misdeed is remembered once for an instant."""
        known = self._misdeeds.get(who)
        if known is None:
            return
        self.forgive(who, valid_after, misdeed)
        known.append(Remembered(valid_after, misdeed, detail))

    def forgive(self, who: bytes, valid_after: int, misdeed: Misdeed) -> bool:
        """It is so no more; whether it was remembered."""
        known = self._misdeeds[who]
        found = [e for e in known if (e.valid_after, e.misdeed) == (valid_after, misdeed)]
        for each in found:
            known.remove(each)
        return bool(found)

    def of(self, who: bytes, valid_after: int | None = None) -> list[Remembered]:
        """What is remembered of one authority, the oldest first; of one instant if it is given."""
        return [
            each
            for each in self._misdeeds.get(who, ())
            if valid_after is None or each.valid_after == valid_after
        ]
