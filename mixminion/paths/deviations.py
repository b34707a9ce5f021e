"""Where a path is not what the network's paths usually are: told to people, not refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from typing_extensions import override

from mixminion.directory.consensus import USABLE, Server
from mixminion.directory.view import View
from mixminion.paths import language
from mixminion.paths.constraints import Breach, Rule
from mixminion.paths.language import Some
from mixminion.paths.preferences import Lists


@dataclass(frozen=True, slots=True)
class Deviation:
    """One of them: a code for programs and a sentence for people."""

    code: str
    sentence: str

    @override
    def __str__(self) -> str:
        return self.sentence


_RULES = {
    Rule.FAMILY: "{names} are of one family: one operator sees the packet twice.",
    Rule.NETWORK: "{names} are in one network: one provider sees the packet twice.",
    Rule.LINK: "{names} say that they do not link with each other.",
    Rule.ENTRY: "{names} does not take links from everybody: yours may be refused.",
    Rule.JURISDICTION: "{names} are all in one jurisdiction.",
}


def of_length(hops: int, usual: int) -> Iterable[Deviation]:
    """A path of another length than the network's."""
    if hops != usual:
        count = "1 hop" if hops == 1 else f"{hops} hops"
        yield Deviation(
            "path-length",
            f"The path has {count} and this network's usual one {usual}: it stands out.",
        )


def of_lists(lists: Lists, view: View) -> Iterable[Deviation]:
    """Lists of a configuration, which other people do not have."""
    if lists:
        yield Deviation(
            "path-lists",
            "The lists in the [Paths] section of your configuration make your paths differ from"
            " other people's.",
        )
    for term in lists.unknown(view):
        yield Deviation(
            "list-unknown",
            f"Your lists have {str(term)!r} in them, and the directory has no such server.",
        )


def of_denied(server: Server) -> Deviation:
    """A server that was named in spite of the sender's own lists."""
    return Deviation(
        "server-denied", f"Your configuration's lists leave out {server.nickname}, which you named."
    )


def of_named_entry(server: Server) -> Deviation:
    """A first hop that was named and is not kept as an entry."""
    return Deviation(
        "path-entry-named",
        f"{server.nickname} is none of the entries that you keep: the more servers see you come,"
        " the likelier one of them is bad.",
    )


def of_reserve(server: Server) -> Deviation:
    """A first hop out of the reserve."""
    return Deviation(
        "path-entry-reserve",
        f"Neither of the entries that you keep can be used for this path: it begins at"
        f" {server.nickname}, out of the reserve.",
    )


def of_silent_entry(silent: Server, other: Server) -> Deviation:
    """An entry that takes nothing now, and another one that is asked."""
    return Deviation(
        "entry-silent",
        f"{silent.nickname}, where your packet was to begin, takes nothing now: it begins at"
        f" {other.nickname}.",
    )


def of_configured(path: str, usual: int) -> Iterable[Deviation]:
    """A path in path language that a configuration gives to all messages, unless it is what
    they get anyway: random, and *usual* hops long."""
    elements = language.parse(path).elements
    random = [element.count for element in elements if isinstance(element, Some)]
    if len(random) < len(elements) or sum(random) != usual:
        yield Deviation(
            "path-configured",
            f"Your configuration's default-path ({path}) is not this network's usual *{usual}: it"
            " sets your messages apart.",
        )


def of_breaches(path: Sequence[Server], broken: Iterable[Breach]) -> Iterable[Deviation]:
    """Rules that the path does not keep."""
    for breach in broken:
        names = [path[hop].nickname for hop in breach.hops]
        listed = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
        yield Deviation(f"path-{breach.rule}", _RULES[breach.rule].format(names=listed))


def of_named(view: View, server: Server, now: float) -> Iterable[Deviation]:
    """A server that was named although random paths leave it out."""
    if server.insecure:
        modes = ", ".join(server.insecure)
        yield Deviation("server-insecure", f"{server.nickname} runs in an insecure mode ({modes}).")
    if view.imported(server):
        yield Deviation(
            "server-imported",
            f"{server.nickname} is not in the directory, but from a file that you imported: few"
            " others' messages go through it.",
        )
    elif USABLE not in server.flags:
        yield Deviation(
            "server-not-usable", f"The authorities do not find {server.nickname} usable."
        )
    if server.usable_from > now:
        yield Deviation(
            "server-new",
            f"{server.nickname} is so new that not everybody's directory lists it.",
        )
