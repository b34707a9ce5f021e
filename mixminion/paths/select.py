"""Choosing a path: every one that keeps to the rules is equally likely."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from mixminion.directory.consensus import Server
from mixminion.directory.parts import Exit
from mixminion.directory.view import View
from mixminion.errors import UserError
from mixminion.interfaces import Random
from mixminion.paths import deviations
from mixminion.paths.constraints import Breach, Rule, breaches
from mixminion.paths.deviations import Deviation
from mixminion.paths.errors import (
    ExitTooSmall,
    NoExit,
    NoFragments,
    NoNewsgroup,
    NoPath,
    NoReceipts,
    NotAllowed,
    TooManyRecipients,
    TwiceInPath,
    UnknownServer,
    UnusableServer,
)
from mixminion.paths.language import Named, PathSpec, Some
from mixminion.paths.lengths import draw_counts
from mixminion.util.newsgroups import among

FRAGMENTS = "fragments"
"""In the policy of exits that take messages in fragments."""
RECEIPTS = "receipts"
"""In the policy of exits that tell senders what became of their messages."""
MOST_RECIPIENTS = "max-recipients"
"""In the policy of exits that take no more recipients of one message."""

_DRAWS = 1000
"""Random paths looked at before a search: enough wherever one in a hundred keeps the rules."""
_STEPS = 20_000
"""Servers a search looks at before it gives up."""


@dataclass(frozen=True, slots=True)
class ExitRequirement:
    """What the last hop must deliver: an exit's name, octets of content, whether they come in
    fragments, what its published policy must not refuse, such as ``allow-from``, to how many
    recipients, to which newsgroups, and whether receipts are to come."""

    name: str
    size: int = 0
    fragments: bool = False
    allowing: frozenset[str] = frozenset()
    recipients: int = 0
    groups: tuple[str, ...] = ()
    receipts: bool = False

    def problem(self, server: Server) -> str | None:
        """Why *server* is not such an exit; None when it is."""
        found = server.exit(self.name)
        if found is None:
            return f"it has no exit {self.name!r}"
        if found.max_message < self.size:
            return f"its exit {self.name!r} takes at most {found.max_message} octets"
        if self.fragments and FRAGMENTS not in found.policy:
            return f"its exit {self.name!r} takes no messages in fragments"
        if self.receipts and not found.policy.get(RECEIPTS):
            return f"its exit {self.name!r} sends no receipts"
        if self.most(found) < self.recipients:
            return f"its exit {self.name!r} takes at most {self.most(found)} recipients"
        if not self.posts(found):
            return f"its exit {self.name!r} does not post to {' and '.join(self.groups)}"
        refused = self.refused(found)
        if refused:
            return f"its exit {self.name!r} does not {' and '.join(map(_in_words, refused))}"
        return None

    def most(self, found: Exit) -> int:
        """How many recipients the exit takes; as many as there are where it does not say."""
        most = found.policy.get(MOST_RECIPIENTS)
        return most if isinstance(most, int) else self.recipients

    def posts(self, found: Exit) -> bool:
        """Whether the exit takes articles for the groups; one that does not say takes them."""
        allowed, denied = (found.policy.get(key) for key in ("groups", "deny"))
        return all(
            (not isinstance(allowed, list) or among(group, allowed))
            and not (isinstance(denied, list) and among(group, denied))
            for group in self.groups
        )

    def refused(self, found: Exit) -> list[str]:
        """What is asked for and not allowed there; an exit that does not say allows it."""
        return sorted(word for word in self.allowing if not found.policy.get(word, True))


def _in_words(permission: str) -> str:
    """``allow-reply-to`` as people say it."""
    verb, _, what = permission.partition("-")
    return f"{verb} {what.title()}"


@dataclass(frozen=True, slots=True)
class Choice:
    """A path from entry to exit, the key period whose packet keys it uses, and where it is not
    what the network's paths usually are."""

    path: tuple[Server, ...]
    period: int
    warnings: tuple[Deviation, ...]


Slot = Server | None
"""A hop of a path to be made: a server that was named, or any."""


def choose(
    view: View,
    spec: PathSpec | None,
    exit: ExitRequirement | None,
    *,
    now: float,
    random: Random,
) -> Choice:
    """Choose the path of a packet that leaves at *now*.

    Without a *spec* it has the network's length.  Without an *exit* any server may be the
    last.  The usual rules hold for every two hops; where no path can keep them all, entry
    and exit still differ in family and network, and the path says so in its warnings.

    :raises mixminion.paths.errors: ``UserError`` with what is missing or wrong.
    :raises mixminion.directory.errors.NoKeyPeriod: the view has no key period for *now*.
    :raises mixminion.directory.errors.KeysMissing: or not its keys.
    """
    period = view.current_period(now)
    usual = view.parameters.hops
    most = view.geometry_of(period).hops
    slots = _slots(view, PathSpec((Some(usual),)) if spec is None else spec, most, random)
    named = [server for server in slots if server is not None]
    _check_named(view, named, period)
    usable = view.usable(now, period)
    able = usable if exit is None else view.usable_exits(exit.name, now, period)
    exits = _exits(slots[-1], able, exit, taken=named)
    path, broken = _path(_Draft(slots, usable, exits, random))
    warnings = [
        *deviations.of_length(len(path), usual),
        *(each for server in named for each in deviations.of_named(server, now)),
        *deviations.of_breaches(path, broken),
    ]
    return Choice(path, period, tuple(warnings))


def find(view: View, name: str) -> Server:
    """The server of that nickname.

    :raises UnknownServer: there is none; lists near names.
    """
    server = view.by_name(name)
    if server is None:
        names = {each.nickname.lower(): each.nickname for each in view.servers}
        near = [names[each] for each in get_close_matches(name.lower(), names)]
        raise UnknownServer(name=name, near=f" Near it: {', '.join(near)}." if near else "")
    return server


def _slots(view: View, spec: PathSpec, most: int, random: Random) -> list[Slot]:
    found = [find(view, each.name) if isinstance(each, Named) else None for each in spec.elements]
    usual = view.parameters.hops
    counts = draw_counts(spec, least=min(2, usual), usual=usual, most=most, random=random)
    return [server for server, n in zip(found, counts, strict=True) for _ in range(n)]


def _check_named(view: View, named: Sequence[Server], period: int) -> None:
    seen = set()
    for server in named:
        if server in seen:
            raise TwiceInPath(name=server.nickname)
        seen.add(server)
        if not view.has_key(server.identity, period):
            raise UnusableServer(
                name=server.nickname, problem=f"it has no packet key for key period {period}"
            )
        if not server.addresses:
            raise UnusableServer(name=server.nickname, problem="it publishes no address")


def _exits(
    last: Slot, able: Sequence[Server], exit: ExitRequirement | None, taken: Sequence[Server]
) -> Sequence[Server]:
    """Who may be the last hop; *able* are the usable ones that have such an exit."""
    if last is not None:
        problem = None if exit is None else exit.problem(last)
        if problem is not None:
            raise UnusableServer(name=last.nickname, problem=problem)
        return [last]
    free = [server for server in able if server not in taken] if taken else able
    if exit is None:
        return free
    found = [server for server in free if exit.problem(server) is None]
    if not found:
        named = [each for s in free for each in s.exits if each.name == exit.name]
        raise _lacking(named, exit)
    return found


def _lacking(named: Sequence[Exit], exit: ExitRequirement) -> UserError:
    """What is wrong when none of the exits of that name will do."""
    if not named:
        return NoExit(exit=exit.name)
    allowing = [each for each in named if not exit.refused(each)]
    if not allowing:
        words = " and ".join(map(_in_words, sorted(exit.allowing)))
        return NotAllowed(exit=exit.name, what=words.replace("allow ", ""))
    most = max(map(exit.most, allowing))
    if most < exit.recipients:
        return TooManyRecipients(exit=exit.name, recipients=exit.recipients, most=most)
    posting = [each for each in allowing if exit.posts(each)]
    if not posting:
        return NoNewsgroup(exit=exit.name, groups=" and ".join(exit.groups))
    largest = max(each.max_message for each in posting)
    if largest < exit.size:
        return ExitTooSmall(exit=exit.name, size=exit.size, most=largest)
    if exit.receipts and not any(each.policy.get(RECEIPTS) for each in posting):
        return NoReceipts(exit=exit.name)
    return NoFragments(exit=exit.name)


@dataclass(frozen=True, slots=True)
class _Draft:
    """What a path is made of."""

    slots: Sequence[Slot]
    usable: Sequence[Server]
    exits: Sequence[Server]
    random: Random

    def borne(self, breach: Breach) -> bool:
        """Whether somebody asked for it: all the hops that break the rule were named."""
        return all(self.slots[hop] is not None for hop in breach.hops)

    def borne_in_a_small_network(self, breach: Breach) -> bool:
        """Whether the rule may be broken where no path can keep them all."""
        ends = (0, len(self.slots) - 1)
        return (
            self.borne(breach)
            or breach.rule is Rule.JURISDICTION
            or (breach.rule not in (Rule.LINK, Rule.ENTRY) and breach.hops != ends)
        )


def _path(draft: _Draft) -> tuple[tuple[Server, ...], list[Breach]]:
    """A path, and the rules it breaks.

    :raises NoPath: there is none, even with the rules of small networks.
    """
    named = {server for server in draft.slots if server is not None}
    lacking = draft.slots.count(None) - len(draft.usable) + sum(map(draft.usable.count, named))
    if lacking > 0:
        missing = "1 more is needed" if lacking == 1 else f"{lacking} more are needed"
        raise NoPath(hops=len(draft.slots), usable=len(draft.usable), missing=missing)
    for bears in (draft.borne, draft.borne_in_a_small_network):
        path = _draw(draft, bears) or _search(draft, bears)
        if path is not None:
            return path, list(breaches(path))
    raise NoPath(
        hops=len(draft.slots),
        usable=len(draft.usable),
        missing="they lack different families or networks, or do not link with each other",
    )


def _draw(draft: _Draft, bears: Callable[[Breach], bool]) -> tuple[Server, ...] | None:
    """Draw paths of different servers until one keeps the rules: uniform among those that do."""
    for _ in range(_DRAWS):
        exit = draft.exits[draft.random.below(len(draft.exits))]
        taken = {exit, *(server for server in draft.slots if server is not None)}
        path = []
        for slot in draft.slots[:-1]:
            server = slot
            while server is None or (slot is None and server in taken):
                server = draft.usable[draft.random.below(len(draft.usable))]
            taken.add(server)
            path.append(server)
        path.append(exit)
        if all(bears(breach) for breach in breaches(path)):
            return tuple(path)
    return None


def _search(draft: _Draft, bears: Callable[[Breach], bool]) -> tuple[Server, ...] | None:
    """Look for a path from the exit backwards, in random order: where few keep the rules."""
    last = len(draft.slots) - 1
    steps = 0

    def extend(tail: tuple[Server, ...]) -> tuple[Server, ...] | None:
        nonlocal steps
        hop = last - len(tail)
        if hop < 0:
            return tail if all(bears(breach) for breach in breaches(tail)) else None
        slot = draft.slots[hop]
        candidates = list(draft.exits if hop == last else draft.usable if slot is None else [slot])
        draft.random.shuffle(candidates)
        for server in candidates:
            steps += 1
            if steps > _STEPS:
                return None
            longer = (server, *tail)
            if server not in tail and (found := _keeps(longer, hop) and extend(longer)):
                return found
        return None

    def _keeps(tail: tuple[Server, ...], first: int) -> bool:
        return all(
            bears(Breach(each.rule, tuple(first + i for i in each.hops)))
            for each in breaches(tail)
            if each.rule not in (Rule.ENTRY, Rule.JURISDICTION)  # of whole paths
        )

    return extend(())
