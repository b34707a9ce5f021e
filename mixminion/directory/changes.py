"""What changed from one consensus to another, member by member: for people, and for programs
that watch a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mixminion.directory.consensus import Consensus, Server
from mixminion.directory.plain import plain


@dataclass(frozen=True, slots=True)
class Change:
    """One member that differs.  Values are :func:`~mixminion.directory.plain.plain`; None
    where the member is left out."""

    member: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class ChangedServer:
    """A server that both list, and what they say differently."""

    server: Server  #: as the newer one lists it
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that differs between two consensuses, but for their dates and chain."""

    added: tuple[Server, ...]
    removed: tuple[Server, ...]
    changed: tuple[ChangedServer, ...]
    parameters: tuple[Change, ...]
    others: tuple[Change, ...]  #: method, test-network, recommended, key-period-NUMBER/...

    def __bool__(self) -> bool:
        return any((self.added, self.removed, self.changed, self.parameters, self.others))


def changes(old: Consensus, new: Consensus) -> Changes:
    """What changed from *old* to *new*; servers by nickname."""
    before = {server.identity: server for server in old.servers}
    after = {server.identity: server for server in new.servers}
    both = [(before[identity], after[identity]) for identity in before.keys() & after.keys()]
    changed = [
        ChangedServer(newer, tuple(_differing(plain(older), plain(newer))))
        for older, newer in both
        if older != newer
    ]
    return Changes(
        _sorted(after[identity] for identity in after.keys() - before.keys()),
        _sorted(before[identity] for identity in before.keys() - after.keys()),
        tuple(sorted(changed, key=lambda each: each.server.nickname.lower())),
        tuple(_differing(plain(old.parameters), plain(new.parameters))),
        tuple(_differing(_rest(old), _rest(new))),
    )


def _rest(consensus: Consensus) -> dict[str, Any]:
    """What a consensus says of the network besides servers and parameters."""
    rest: dict[str, Any] = {"method": consensus.method, "test-network": consensus.test_network}
    if consensus.recommended is not None:
        rest["recommended"] = plain(consensus.recommended)
    for period in consensus.key_periods:
        for member, value in plain(period).items():
            rest[f"key-period-{period.number}/{member}"] = value
    return rest


def _sorted(servers: Iterator[Server]) -> tuple[Server, ...]:
    return tuple(sorted(servers, key=lambda server: server.nickname.lower()))


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield Change(name, before.get(name), after.get(name))
