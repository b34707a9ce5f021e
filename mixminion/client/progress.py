"""What a client tells while it works: values for programs, sentences are the command's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from mixminion.directory.consensus import Server
from mixminion.errors import MixminionError
from mixminion.paths.deviations import Deviation


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Header fields of a whole message that do not leave."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fetching:
    """There is no directory here that can be used; one is being fetched."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A source was asked for a document; ``error`` says what was wrong with the answer."""

    source: str
    document: str
    error: MixminionError | None


class Finding(StrEnum):
    """What a cache's directory is, beside the one held here."""

    SAME = "same"
    FORKED = "forked"  #: another one for the same time, signed by enough authorities
    UNSIGNED = "unsigned"  #: it shows another digest, and nothing that anybody signed
    OTHER_TIMES = "other-times"  #: it holds none of the times that are held here
    SILENT = "silent"  #: it gave no answer that can be read


@dataclass(frozen=True, slots=True)
class Compared:
    """A cache was asked what it holds."""

    source: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class AskingForKey:
    """A named source is being asked for somebody's key; ``tells`` says that whoever runs it learns
    whose."""

    source: str
    where: str
    tells: bool


@dataclass(frozen=True, slots=True)
class Encrypted:
    """The message is sealed to the key that is trusted for ``address``, or to one that was given
    (None); ``changed`` says that another key has come for the address."""

    address: str | None
    fingerprint: str
    verified: bool
    changed: bool


@dataclass(frozen=True, slots=True)
class Warned:
    """Something about the directory, or what the configuration asks for, is not as usual."""

    warning: Deviation


@dataclass(frozen=True, slots=True)
class PathChosen:
    """The servers the packet goes through, and what is unusual about them."""

    path: tuple[Server, ...]
    warnings: tuple[Deviation, ...]


@dataclass(frozen=True, slots=True)
class InFragments:
    """The message takes so many packets, each over a path of its own; any ``needed`` of them,
    or a few more, are enough."""

    packets: int
    needed: int


@dataclass(frozen=True, slots=True)
class HandedOver:
    """So many of the packets of a message are on the disks of their entries."""

    packets: int
    of: int


@dataclass(frozen=True, slots=True)
class Kept:
    """The packet, or the message in fragments, is in the outbox: from here on nothing is lost."""

    id: int


@dataclass(frozen=True, slots=True)
class BlockPassedOver:
    """A reply block, by its number in its file, that cannot be used now, and why; *early* ones can
    be used later, as half of those that are handed out in pairs."""

    number: int
    why: str
    early: bool = False


@dataclass(frozen=True, slots=True)
class BlocksMade:
    """There are new reply blocks of *identity*, a name, to be given to somebody: the SURB ids by
    which their answers are found, where those come, and when the last block ends, Unix seconds."""

    identity: str
    address: str
    handles: tuple[bytes, ...]
    not_after: int


@dataclass(frozen=True, slots=True)
class BlocksUsed:
    """So many reply blocks are used by an answer, and so many are left that can be used now."""

    used: int
    left: int


@dataclass(frozen=True, slots=True)
class Sent:
    """The entry has the packet on its disk; the sender is not needed any more.

    Of a message in several ``packets`` all entries have theirs, and ``entry`` and ``path`` are
    those of one of them.
    """

    id: int
    entry: str  #: nickname
    path: tuple[str, ...]  #: nicknames, entry first
    delay: float  #: seconds until it arrives, on average
    expected: float  #: when that is, Unix seconds
    packets: int = 1
    handed: bool = True
    """False where it was only to be kept; ``expected`` is counted from now all the same."""


@dataclass(frozen=True, slots=True)
class KeptLong:
    """So many packets, blocks of a large message included, are kept longer than ``[Outbox]
    warn-after``."""

    packets: int
    since: int  #: the oldest of them, Unix seconds, rounded down to the hour


@dataclass(frozen=True, slots=True)
class Deleted:
    """So many packets were kept for ``[Outbox] delete-after`` and are gone, without being sent."""

    packets: int
    since: int  #: the oldest of them, Unix seconds, rounded down to the hour


Event = (
    LeftOut
    | Fetching
    | Asked
    | Compared
    | AskingForKey
    | Encrypted
    | Warned
    | PathChosen
    | InFragments
    | Kept
    | HandedOver
    | BlockPassedOver
    | BlocksMade
    | BlocksUsed
    | Sent
    | KeptLong
    | Deleted
)
Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """Tell nothing."""
