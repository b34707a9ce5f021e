"""What outsiders implement or call, and the values that cross a door.

Interface methods that may take time return ``Awaitable``: an implementation may be an
``async def`` or return a Deferred.  Time is Unix seconds of the injected clock
(``clock.seconds()``) unless a name ends in ``_ms``.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface

Clock = IReactorTime
"""``seconds()`` is Unix time, ``callLater`` as ever; a reactor is one."""


class Random(Protocol):
    """The injected generator (:mod:`mixminion.crypto.rng`); cryptographically strong in service."""

    def octets(self, n: int) -> bytes:
        """*n* random octets."""

    def below(self, n: int) -> int:
        """Uniform on ``0 <= x < n``."""

    def uniform(self) -> float:
        """Uniform on ``[0, 1)``."""

    def exponential(self, mean: float) -> float:
        """Exponentially distributed with that mean."""

    def shuffle(self, items: list[Any]) -> None:
        """Shuffle in place."""


# -- packets between servers ------------------------------------------------------------


class Refusal(enum.IntEnum):
    """Why a server refuses a frame: always for its own state, never for the frame's content."""

    FULL = 1
    STOPPING = 2
    RATE = 3


class IIntake(Interface):
    """Where MMTP hands frames; the mix implements it."""

    def receive(packet: bytes) -> Awaitable[Refusal | None]:
        """Take one packet in.  Fires with None once it is on disk and fsynced."""

    def padding() -> Awaitable[Refusal | None]:
        """A padding frame: fires with the same group commit that packets wait for."""


# -- strategies ---------------------------------------------------------------------------


class MixingNumbers(Protocol):
    """The network's parameters, as far as strategies want them; durations in seconds."""

    @property
    def tick(self) -> float: ...

    @property
    def delay_cap(self) -> float: ...

    @property
    def pool_interval(self) -> int: ...

    @property
    def pool_minimum(self) -> int: ...

    @property
    def pool_percent(self) -> int: ...


class IStrategy(Interface):
    """A mixing strategy: packet in, clock ticks, packets out.  It keeps no clock of its own."""

    def add(item: int, delay: float, now: float) -> None:
        """Hold *item*; *delay* is what its sender asked for, in seconds."""

    def release(now: float) -> list[int]:
        """Everything that leaves now, shuffled."""

    def next_release() -> float | None:
        """When :meth:`release` is worth calling next; None while nothing is held."""

    def adjust(network: MixingNumbers) -> None:
        """The network's parameters have changed; what is held leaves no earlier for that."""

    def __len__() -> int:
        """How many are held."""


# -- exits ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """What an exit hands over.

    ``content`` is the sender's octets (of a reply: the sealed payload); ``surb_id`` is 16
    octets for a reply and None otherwise.  ``message_id`` (with angle brackets) and
    ``date`` (Unix seconds) are made once, when the message is stored, so that a second
    hand-over is recognisable.

    The rest is not stored; the server gives it right before each hand-over, when there is one
    recipient: header ``fields`` of its own (name and value), lines for below the text, and the
    envelope's sender in the exit's domain, empty for none.
    """

    exit: str
    recipients: tuple[str, ...]
    content: bytes
    surb_id: bytes | None
    message_id: str
    date: int
    fields: tuple[tuple[str, str], ...] = ()
    footer: str = ""
    return_path: str | None = None


class OutcomeKind(enum.Enum):
    """How a hand-over ended."""

    DELIVERED = "delivered"
    TEMPORARY = "temporary"  #: try this message again later
    UNREACHABLE = "unreachable"  #: the far side as a whole is away: hold everything for it
    PERMANENT = "permanent"  #: never try this message again


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one attempt.  ``reason`` is a short fixed word such as ``smtp-550``: it is
    counted and logged, so it never carries an address or the far side's text."""

    kind: OutcomeKind
    reason: str


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """How an exit's messages are handed over: *concurrency* attempts at once, with pauses
    from *retry_first* to *retry_longest* seconds, given up *expiry* seconds after release."""

    concurrency: int
    retry_first: float
    retry_longest: float
    expiry: float


class ExitEnvironment(Protocol):
    """What an exit gets from its server; everything else it needs is in its configuration."""

    reactor: Any  #: IReactorTime, IReactorTCP and what endpoints ask for
    random: Random
    host_name: str  #: the server's public name
    software: str  #: for notices; name and version


class IExit(Interface):
    """One configured exit of a running server."""

    name = Attribute("The delivery name, as descriptors publish it and senders write it.")
    policy = Attribute("A :class:`DeliveryPolicy`.")
    domain = Attribute("The right side of its Message-IDs; None for the server's own name.")

    def describe() -> Mapping[str, Any]:
        """Limits and policies for the descriptor: JSON values, ``module`` and
        ``max-message`` (octets of content) at least; objects and arrays in it nest at most two
        deep (a mapping of names to lists)."""

    def check(recipients: Sequence[str], content: bytes, reply: bool) -> str | None:
        """Refuse before the queue: a reason word, or None when the exit would take it."""

    def start() -> Awaitable[None]:
        """Get ready; called before the first :meth:`deliver`."""

    def stop() -> Awaitable[None]:
        """Let go of everything; no attempt is under way any more when this fires."""

    def deliver(message: Message) -> Awaitable[Outcome]:
        """One attempt.  What fails or raises is a temporary failure of this message."""


class IHoldingExit(IExit):
    """An exit that hands nothing over: what comes for a capability (a raw Ed25519 public key, 32
    octets) stays in the server's store until whoever has the private key has fetched it.

    To deliver is to have the server keep the message.  The exit knows which item, by the id of its
    record, is whose.
    """

    def keep_with(keep: Callable[[Message], Awaitable[int]]) -> None:
        """How to have a message kept: fires with its item once that is on disk.  Called before
        :meth:`IExit.start`."""

    def hold_again(item: int, message: Message) -> bool:
        """Take note of what was held before a restart, whatever the limits are; False for what is
        held for nobody, or is held twice, and is to be deleted."""

    def held(capability: bytes) -> Sequence[tuple[int, int]]:
        """What is held for it, oldest first: when each left the pool, in Unix seconds, and the
        item."""

    def let_go(item: int) -> None:
        """Forget an item that is deleted."""

    def expire(now: float) -> Sequence[int]:
        """Forget the items that have been held too long; they are to be deleted."""

    def __len__() -> int:
        """How many are held."""


class IExitModule(IPlugin):
    """A plugin that makes exits (in ``twisted.plugins``); discovered is not enabled: the
    configuration's ``[Exit NAME]`` sections name the modules that run."""

    name = Attribute("The module's name, for ``module = ...``.")
    section = Attribute("The configuration dataclass of its section (mixminion.config).")

    def make(name: str, section: Any, environment: ExitEnvironment) -> IExit:
        """An exit from a validated section."""


# -- what the mix needs of the exits ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message ready for the pool: the record that is stored, and whose queue it joins."""

    destination: bytes  #: ``b"exit:" + name``
    record: bytes


@dataclass(frozen=True, slots=True)
class Departure:
    """A packet of the server's own, for the server with the node id ``destination``: to be stored
    under it and released at ``due``, Unix seconds."""

    destination: bytes
    packet: bytes
    due: float


class IReceiptSender(Interface):
    """How exits tell senders what became of their messages; the mix implements it."""

    def make(blocks: Sequence[bytes], content: bytes) -> Departure | None:
        """A packet that brings *content* to whoever made one of the reply *blocks*; None when none
        of them can be used, or this server has sent as many lately as it may."""

    def depart(record_id: int, departure: Departure) -> None:
        """It is in the store under that id: have it leave."""


class IMailboxes(Interface):
    """What is held for owners of capabilities, as the protocol sees it by which they fetch it."""

    def waiting(capability: bytes) -> Sequence[int]:
        """The items held for it, oldest first."""

    def read(capability: bytes, item: int) -> Awaitable[Message | None]:
        """One of them; None when it is not held for that capability, which takes as long."""

    def taken(capability: bytes, item: int) -> None:
        """Its owner has it safe: delete it.  Nothing happens for what is not held for him."""


class IDelivery(Interface):
    """The exits of a server, as the mix sees them (exits.delivery implements it)."""

    mailboxes = Attribute("An :class:`IMailboxes`; None without an exit that holds.")

    def answer_by(sender: IReceiptSender) -> None:
        """How receipts leave; called before :meth:`recall`.  Without it there are none."""

    def accept(payload: bytes, due: float) -> Accepted | str:
        """A forward packet's opened body (after its zero tag).  Message-ID and Date are made
        here; *due* is the moment it leaves the pool.  A string is the drop reason."""

    def accept_reply(
        surb_id: bytes, exit: str, address: str, payload: bytes, due: float
    ) -> Accepted | str:
        """The same for a reply's sealed payload."""

    def offer(record_id: int, destination: bytes, due: float) -> None:
        """The pool released this stored record: hand it over, then have it deleted."""

    def recall(entries: Sequence[tuple[int, bytes, float]]) -> Awaitable[set[int]]:
        """At a start, before anything stored is pooled again: all stored records for exits, by id,
        destination and due time.  Fires with the ids that are not to be pooled: exits keep them
        to remember something."""

    def waiting() -> Mapping[str, int]:
        """Queue lengths by exit name."""

    def tallies() -> Mapping[str, Mapping[str, int]]:
        """How attempts ended, by exit name and then by kind and reason."""

    def held() -> int:
        """How many messages wait in mailboxes for their owners."""

    def incomplete() -> int:
        """Messages of which fragments are missing."""

    def start() -> Awaitable[None]:
        """Start every exit."""

    def stop() -> Awaitable[None]:
        """End attempts under way; what is not handed over stays stored."""


class RecordStore(Protocol):
    """What queues need of the store: records by id."""

    def read(self, ids: Sequence[int]) -> Awaitable[list[bytes | None]]:
        """Stored records in the order asked; None for one that is gone."""

    def delete(self, ids: Iterable[int]) -> Awaitable[None]:
        """Delete them; fires after the commit."""
