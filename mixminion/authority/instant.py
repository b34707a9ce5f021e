"""One consensus under way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mixminion.authority.poll import Poll
from mixminion.authority.schedule import Schedule
from mixminion.authority.signing import Signing


class Phase(StrEnum):
    """How far it has come."""

    WAITING = "waiting"
    VOTING = "voting"
    SIGNING = "signing"  #: until valid-after
    COLLECTING = "collecting"  #: late signatures, until it is fresh no longer


@dataclass(eq=False, slots=True)
class Instant:
    """What belongs to one consensus."""

    schedule: Schedule
    poll: Poll
    signing: Signing
    phase: Phase = Phase.WAITING
    dropped: bool = False  #: another one has taken its place
