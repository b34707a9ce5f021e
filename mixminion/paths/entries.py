"""Entries that are kept: who they are, when they are replaced, and by whom.

Whoever runs a packet's first and last server can link its ends by time.  With a new first server
for every packet everybody would, sooner or later, send one through such a pair; with few that are
kept, most people never do.  ``doc/design/entries.rst`` has the reasons for each rule here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from mixminion.directory.consensus import Server
from mixminion.directory.view import View
from mixminion.interfaces import Random
from mixminion.paths.constraints import Rule, breaches, open_to_all
from mixminion.paths.drawing import Pool
from mixminion.paths.preferences import Lists, Preferences

USED = 2
"""Entries in use."""
KEPT = 4
"""And those in reserve, for paths that neither of them fits."""

DAY = 86_400
HOUR = 3600
SHORTEST, LONGEST = 60 * DAY, 120 * DAY
"""Seconds for which an entry is kept, drawn between them."""
ABSENT = 7 * DAY
"""Seconds for which an entry may be missing from the directory, or not usable there."""
SILENT = 7 * DAY
"""Seconds for which an entry may take nothing from us while another one does."""
TRIED = 8
"""Different hours in that time in which it was tried."""


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """One entry; times are Unix seconds, rounded down to the hour."""

    identity: bytes
    nickname: str  #: when it was drawn
    drawn: int
    until: int
    absent: int | None = None  #: since when no directory has had it usable
    silent: int | None = None  #: since when it has taken nothing
    failed: int | None = None  #: the last hour in which it did not
    failures: int = 0  #: hours in which it did not, since then
    worked: int | None = None  #: the last hour in which it did

    def after_failure(self, now: float) -> KeptEntry:
        """It did not take what it was given at *now*."""
        hour = hour_of(now)
        if self.failed == hour:
            return self
        silent = hour if self.silent is None else self.silent
        return replace(self, silent=silent, failed=hour, failures=self.failures + 1)

    def after_success(self, now: float) -> KeptEntry:
        """It did."""
        return replace(self, silent=None, failed=None, failures=0, worked=hour_of(now))


def hour_of(now: float) -> int:
    """*now*, rounded down to the hour: what is kept does not tell when somebody sent."""
    return int(now // HOUR) * HOUR


def revise(
    kept: Sequence[KeptEntry], view: View, lists: Lists, *, now: float, random: Random
) -> list[KeptEntry]:
    """The entries after a look at the directory: those whose time is over are gone, new ones are
    drawn in their place, each uniform among the usable servers that may be one beside the rest.

    There are fewer than :data:`KEPT` where the network has no more that differ in family and
    network.
    """
    found = []
    for entry in kept:
        server = view.by_identity(entry.identity)
        if present(entry, view, now):
            entry = replace(entry, absent=None)
        elif entry.absent is None:
            entry = replace(entry, absent=hour_of(now))
        if not _over(entry, kept, now) and (server is None or lists.as_entry(server)):
            found.append(entry)
    servers = [server for entry in found if (server := view.by_identity(entry.identity))]
    usable = view.usable(now, view.current_period(now))
    while len(found) < KEPT:
        pool = Pool(usable, lambda server: _fits(server, servers, lists))
        drawn = pool.draw(random)
        if drawn is None:
            break
        servers.append(drawn)
        until = now + SHORTEST + random.uniform() * (LONGEST - SHORTEST)
        found.append(
            KeptEntry(drawn.identity, drawn.nickname, hour_of(now), hour_of(until)),
        )
    return found


def present(entry: KeptEntry, view: View, now: float) -> bool:
    """Whether the directory has it usable, as an entry, *now*."""
    server = view.by_identity(entry.identity)
    return (
        server is not None
        and view.is_usable(server, now, view.current_period(now))
        and open_to_all(server)
    )


class EntryRole(StrEnum):
    """What an entry is for at the moment."""

    USED = "used"
    RESERVE = "reserve"
    AWAY = "away"  #: the directory does not have it usable


def roles(kept: Iterable[KeptEntry], view: View, now: float) -> list[EntryRole]:
    """What each is for: the first two that are present are used."""
    found = list[EntryRole]()
    for entry in kept:
        if not present(entry, view, now):
            found.append(EntryRole.AWAY)
        else:
            found.append(
                EntryRole.USED if found.count(EntryRole.USED) < USED else EntryRole.RESERVE
            )
    return found


def preferences(
    kept: Sequence[KeptEntry],
    view: View,
    lists: Lists,
    *,
    now: float,
    avoiding: Collection[bytes] = (),
) -> Preferences:
    """What the paths of packets that leave *now* keep to.

    Of the entries in use one that did not answer in this hour is left out while the other one
    does.  Where some are to be avoided, because they do not answer this very packet, the other one
    alone stands in: not answering brings nobody of the reserve into a path.
    """
    by_role: dict[EntryRole, list[KeptEntry]] = {role: [] for role in EntryRole}
    for entry, role in zip(kept, roles(kept, view, now), strict=True):
        by_role[role].append(entry)

    def servers(entries: Iterable[KeptEntry]) -> tuple[Server, ...]:
        return tuple(server for each in entries if (server := view.by_identity(each.identity)))

    used = by_role[EntryRole.USED]
    if avoiding:
        return Preferences(
            servers(entry for entry in used if entry.identity not in avoiding), lists=lists
        )
    silent = [entry for entry in used if entry.failed == hour_of(now)]
    if len(silent) == len(used):
        silent = []
    answering = [entry for entry in used if entry not in silent]
    return Preferences(
        servers(answering), servers(silent), servers(by_role[EntryRole.RESERVE]), lists
    )


def _over(entry: KeptEntry, kept: Iterable[KeptEntry], now: float) -> bool:
    if now >= entry.until:
        return True
    if entry.absent is not None and now - entry.absent >= ABSENT:
        return True
    return (
        entry.silent is not None
        and now - entry.silent >= SILENT
        and entry.failures >= TRIED
        and any(other.worked is not None and other.worked > entry.silent for other in kept)
    )


def _fits(server: Server, beside: Sequence[Server], lists: Lists) -> bool:
    if server in beside or not open_to_all(server) or not lists.as_entry(server):
        return False
    apart = (Rule.FAMILY, Rule.NETWORK)
    return not any(each.rule in apart for other in beside for each in breaches((other, server)))
