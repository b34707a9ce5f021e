"""Choosing a path, by everybody's rules and what one sender wishes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

from mixminion.directory.consensus import Server
from mixminion.directory.view import View
from mixminion.interfaces import Random
from mixminion.paths import deviations
from mixminion.paths.constraints import Breach, breaches
from mixminion.paths.deviations import Deviation
from mixminion.paths.drawing import Draft, Pool, Slot
from mixminion.paths.errors import (
    AmbiguousServer,
    NoEntryLeft,
    NoneAllowed,
    NoPath,
    TwiceInPath,
    UnknownServer,
    UnusableServer,
)
from mixminion.paths.language import Element, File, Named, OneOf, PathSpec, Some
from mixminion.paths.lengths import draw_counts
from mixminion.paths.preferences import NONE, Preferences
from mixminion.paths.requirements import ExitRequirement

__all__ = ["Choice", "ExitRequirement", "Preferences", "choose", "find"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A path from entry to exit, the key period whose packet keys it uses, and where it is not
    what the network's paths usually are."""

    path: tuple[Server, ...]
    period: int
    warnings: tuple[Deviation, ...]


Wanted = tuple[Server, ...] | None
"""A hop that was asked for: a server, or one of several; None for any."""


def choose(
    view: View,
    spec: PathSpec | None,
    exit: ExitRequirement | None,
    *,
    now: float,
    random: Random,
    preferences: Preferences = NONE,
) -> Choice:
    """Choose the path of a packet that leaves at *now*.

    Without a *spec* it has the network's length.  Without an *exit* any server may be the
    last.  The first is one of the kept entries that *preferences* have, unless *spec* names it.
    The usual rules hold for every two hops; where no path can keep them all, entry
    and exit still differ in family and network, and the path says so in its warnings.

    :raises mixminion.paths.errors: ``UserError`` with what is missing or wrong.
    :raises mixminion.directory.errors.NoKeyPeriod: the view has no key period for *now*.
    :raises mixminion.directory.errors.KeysMissing: or not its keys.
    """
    period = view.current_period(now)
    usual = view.parameters.hops
    most = view.geometry_of(period).hops
    wanted = _wanted(view, PathSpec((Some(usual),)) if spec is None else spec, most, random)
    wanted = _able(view, wanted, period)
    if exit is not None and wanted[-1] is not None:
        wanted[-1] = _delivering(wanted[-1], exit)
    net = _Network(view, now, period, exit, preferences)
    path, broken = _path(net, wanted, random)
    asked = [server for server, want in zip(path, wanted, strict=True) if want is not None]
    warnings = [
        *deviations.of_length(len(path), usual),
        *(each for server in asked for each in deviations.of_named(view, server, now)),
        *(deviations.of_denied(server) for server in asked if net.denied(server)),
        *_of_entry(path[0], preferences, named=wanted[0] is not None),
        *deviations.of_breaches(path, broken),
    ]
    return Choice(path, period, tuple(warnings))


def find(view: View, name: str) -> Server:
    """The server of that nickname.

    :raises UnknownServer: there is none; lists near names.
    :raises AmbiguousServer: there are two, one of them imported.
    """
    server = view.by_name(name)
    if view.ambiguous(name):
        raise AmbiguousServer(name=name)
    if server is None:
        names = {each.nickname.lower(): each.nickname for each in view.servers}
        near = [names[each] for each in get_close_matches(name.lower(), names)]
        raise UnknownServer(name=name, near=f" Near it: {', '.join(near)}." if near else "")
    return server


# -- what was written -------------------------------------------------------------------------


def _wanted(view: View, spec: PathSpec, most: int, random: Random) -> list[Wanted]:
    found = [_servers(view, element) for element in spec.elements]
    usual = view.parameters.hops
    counts = draw_counts(spec, least=min(2, usual), usual=usual, most=most, random=random)
    return [servers for servers, n in zip(found, counts, strict=True) for _ in range(n)]


def _servers(view: View, element: Element) -> Wanted:
    match element:
        case OneOf(servers):
            return tuple(dict.fromkeys(find(view, each.name) for each in servers))
        case Named(name) | File(name):
            return (find(view, name),)
        case _:
            return None


def _able(view: View, wanted: Sequence[Wanted], period: int) -> list[Wanted]:
    """The same without those of a choice that cannot be in any path, or are in this one."""
    named = [servers[0] for servers in wanted if servers is not None and len(servers) == 1]
    for server in named:
        if named.count(server) > 1:
            raise TwiceInPath(name=server.nickname)
    able: list[Wanted] = []
    for servers in wanted:
        if servers is None:
            able.append(None)
            continue
        problems = {server: _problem(view, server, period) for server in servers}
        if len(servers) > 1:
            problems |= dict.fromkeys(set(named) & set(servers), "the path goes through it already")
        fit = tuple(server for server, problem in problems.items() if problem is None)
        if not fit:
            raise UnusableServer(name=servers[0].nickname, problem=problems[servers[0]])
        able.append(fit)
    return able


def _problem(view: View, server: Server, period: int) -> str | None:
    if not view.has_key(server.identity, period):
        problem = f"it has no packet key for key period {period}"
        if view.imported(server):
            problem += " in the file that was imported: import a newer one"
        return problem
    return None if server.addresses else "it publishes no address"


def _delivering(servers: tuple[Server, ...], exit: ExitRequirement) -> Wanted:
    fit = tuple(server for server in servers if exit.problem(server) is None)
    if not fit:
        raise UnusableServer(name=servers[0].nickname, problem=exit.problem(servers[0]))
    return fit


# -- who may be chosen ------------------------------------------------------------------------


class _Network:
    """The servers that a path may use unasked, and what it is for."""

    def __init__(
        self,
        view: View,
        now: float,
        period: int,
        exit: ExitRequirement | None,
        preferences: Preferences,
    ) -> None:
        self.view = view
        self._now = now
        self._period = period
        self._exit = exit
        self.preferences = preferences
        self._lists = preferences.lists
        self.usable = view.usable(now, period)
        self.others = Pool(self.usable, self._lists.hop.takes if self._lists.hop else None)

    def exits(self, taken: set[Server], random: Random) -> Pool:
        """Who may be the last hop besides those *taken*.

        :raises mixminion.paths.errors: nobody may.
        """
        exit, lists = self._exit, self._lists

        def fits(server: Server) -> bool:
            return (
                server not in taken
                and (not lists or lists.as_exit(server))
                and (exit is None or exit.problem(server) is None)
            )

        able = self.usable
        if exit is not None:
            able = self.view.usable_exits(exit.name, self._now, self._period)
        pool = Pool(able, fits)
        if exit is not None and pool.draw(random) is None:
            free = [server for server in able if server not in taken]
            if any(exit.problem(server) is None for server in free):
                raise NoneAllowed(exit=exit.name)
            raise exit.lacking(free)
        return pool

    def entries(self, taken: set[Server], random: Random) -> Iterator[Pool]:
        """Who may be the first hop besides those *taken*: a kept entry at a time, in the order in
        which they are tried."""
        preferences = self.preferences
        if preferences.entries is None:
            lists = self._lists
            yield Pool(self.usable, lists.as_entry if lists.hop or lists.entry else None)
            return
        first = list(preferences.entries)
        random.shuffle(first)
        for server in (*first, *preferences.silent, *preferences.reserve):
            if server not in taken and self.view.is_usable(server, self._now, self._period):
                yield Pool((server,))

    def denied(self, server: Server) -> bool:
        """Whether the sender's lists leave it out."""
        return bool(self._lists.hop) and not self._lists.hop.takes(server)


def _path(
    net: _Network, wanted: Sequence[Wanted], random: Random
) -> tuple[tuple[Server, ...], list[Breach]]:
    """A path, and the rules it breaks.

    :raises NoPath: there is none, even with the rules of small networks.
    """
    named = {servers[0] for servers in wanted if servers is not None and len(servers) == 1}
    slots = [None if servers is None else Slot(Pool(servers), asked=True) for servers in wanted]
    if wanted[-1] is None:
        slots[-1] = Slot(net.exits(named, random))
    _check_enough(net, wanted, named)
    drafts = [Draft(slots, net.others, random)]
    if wanted[0] is None and len(wanted) > 1:
        entries = net.entries(named, random)
        drafts = [Draft((Slot(pool), *slots[1:]), net.others, random) for pool in entries]
        if not drafts:
            raise NoEntryLeft
    several = any(slot is not None and slot.choice for slot in slots)
    bearing = [Draft.borne, *([Draft.borne_in_a_choice] if several else [])]
    for bears in (*bearing, Draft.borne_in_a_small_network):
        for draft in drafts:
            path = draft.path(partial(bears, draft))
            if path is not None:
                return path, list(breaches(path))
    raise NoPath(
        hops=len(wanted),
        usable=len(net.others.all),
        missing="they lack different families or networks, or do not link with each other",
    )


def _check_enough(net: _Network, wanted: Sequence[Wanted], named: set[Server]) -> None:
    """:raises NoPath: there are fewer servers than hops."""
    if net.others.has(2 * len(wanted)):
        return
    found = set(net.others.all)
    lacking = wanted.count(None) - len(found - named)
    if lacking > 0:
        missing = "1 more is needed" if lacking == 1 else f"{lacking} more are needed"
        raise NoPath(hops=len(wanted), usable=len(found), missing=missing)


# -- what is to be said -----------------------------------------------------------------------


def _of_entry(entry: Server, preferences: Preferences, *, named: bool) -> Iterator[Deviation]:
    if preferences.entries is None:
        return
    if named and entry not in preferences.kept:
        yield deviations.of_named_entry(entry)
    elif not named and entry in preferences.reserve:
        yield deviations.of_reserve(entry)
