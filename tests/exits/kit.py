"""What the tests of this room share: a store in memory, exits with a mind of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import ILogObserver, LogEvent
from zope.interface import implementer

from mixminion.config import parse
from mixminion.config.parse import Config
from mixminion.crypto.rng import SeededRandom
from mixminion.exits.registry import LazyModule, resolver
from mixminion.exits.section import ExitSection
from mixminion.exits.smtp_session import Envelope
from mixminion.interfaces import (
    DeliveryPolicy,
    IExit,
    IExitModule,
    Message,
    Outcome,
    OutcomeKind,
    Random,
)
from mixminion.mail import compose
from mixminion.store import Pooled
from mixminion.testing import network

MODULES: Mapping[str, IExitModule] = {
    "drop": LazyModule("drop", "mixminion.exits.drop"),
    "mbox": LazyModule("mbox", "mixminion.exits.mbox"),
    "nntp": LazyModule("nntp", "mixminion.exits.nntp"),
    "smtp": LazyModule("smtp", "mixminion.exits.smtp"),
}
NO_LIMITS = "\n".join(network.NO_LIMITS)
DELIVERED = Outcome(OutcomeKind.DELIVERED, "smtp-250")
POLICY = DeliveryPolicy(concurrency=2, retry_first=10.0, retry_longest=100.0, expiry=1000.0)


@dataclass
class Environment:
    """An exit's environment."""

    reactor: Any
    random: Random = field(default_factory=lambda: SeededRandom(b"exits"))
    host_name: str = "mix.test"
    software: str = "Mixminion test"


def config(text: str, modules: Mapping[str, IExitModule] = MODULES) -> Config:
    """A configuration that holds exits only."""
    return parse(
        text, filename="/test/conf", sections=[ExitSection], named_resolver=resolver(modules)
    )


@implementer(ILogObserver)
class Events:
    """Everything that is logged while it observes."""

    def __init__(self) -> None:
        self.seen: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        self.seen.append(event)


class MemoryStore:
    """Records by id, answered at once."""

    def __init__(self) -> None:
        self.records: dict[int, bytes] = {}
        self.places: dict[int, Pooled] = {}  #: of records that were exchanged for others
        self.deleted: list[int] = []

    def put(self, octets: bytes) -> int:
        record_id = len(self.records) + len(self.deleted) + 1
        self.records[record_id] = octets
        return record_id

    def read(self, ids: Sequence[int]) -> Deferred[list[bytes | None]]:
        return succeed([self.records.get(record_id) for record_id in ids])

    def exchange(self, added: Sequence[Pooled], removed: Iterable[int]) -> Deferred[list[int]]:
        ids = [self.put(pooled.record) for pooled in added]
        self.places.update(zip(ids, added, strict=True))
        _ = self.delete(removed)
        return succeed(ids)

    def delete(self, ids: Iterable[int]) -> Deferred[None]:
        for record_id in ids:
            del self.records[record_id]
            self.deleted.append(record_id)
        return succeed(None)


@implementer(IExit)
class ScriptedExit:
    """Does with each message what *act* says."""

    def __init__(
        self, act: Callable[[Message], Any] = lambda message: DELIVERED, name: str = "test"
    ) -> None:
        self.name = name
        self.policy = POLICY
        self.domain: str | None = None
        self.act = act
        self.seen: list[Message] = []
        self.refusal: str | None = None
        self.checked: Callable[[bytes], object] = lambda content: None
        self.started = 0
        self.stopped = 0

    def describe(self) -> Mapping[str, Any]:
        return {"module": "test", "max-message": 1}

    def check(self, recipients: Sequence[str], content: bytes, reply: bool) -> str | None:
        self.checked(content)
        return self.refusal

    def start(self) -> Deferred[None]:
        self.started += 1
        return succeed(None)

    def stop(self) -> Deferred[None]:
        self.stopped += 1
        return succeed(None)

    async def deliver(self, message: Message) -> Outcome:
        self.seen.append(message)
        result = self.act(message)
        if isinstance(result, Deferred):
            result = await result
        outcome: Outcome = result
        return outcome


def to_bob() -> Envelope:
    """A small mail under way."""
    mail = compose.outgoing(
        b"\r\nhello",
        sender="a@mix.test",
        recipients=["bob@example.test"],
        message_id="<1@mix.test>",
        date=0,
    )
    return Envelope("a@mix.test", ("bob@example.test",), mail)
