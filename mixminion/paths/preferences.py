"""Whom one sender's paths go through: entries that are kept, and lists of who may and may not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_network

from typing_extensions import override

from mixminion.directory.consensus import Server
from mixminion.directory.parts import Rule
from mixminion.directory.view import View


class Kind(StrEnum):
    """What a term of a list is about."""

    NAME = "name"
    FAMILY = "family"
    COUNTRY = "country"
    NETWORK = "network"


_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,19}", re.ASCII)
_COUNTRY = re.compile(r"[A-Za-z]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Term:
    """Some servers: one by its nickname, ``family:NAME``, ``country:de``, or a network such as
    ``192.0.2.0/24``."""

    kind: Kind
    text: str  #: as it is compared

    @classmethod
    def parse(cls, text: str) -> Term:
        """Read one; ValueError when it is none."""
        word, colon, rest = text.partition(":")
        if _WORD.fullmatch(text):
            return cls(Kind.NAME, text.lower())
        if colon and word == "family" and _WORD.fullmatch(rest):
            return cls(Kind.FAMILY, rest.lower())
        if colon and word == "country" and _COUNTRY.fullmatch(rest):
            return cls(Kind.COUNTRY, rest.lower())
        return cls(Kind.NETWORK, str(ip_network(text)))

    @override
    def __str__(self) -> str:
        return self.text if self.kind in (Kind.NAME, Kind.NETWORK) else f"{self.kind}:{self.text}"

    def covers(self, server: Server) -> bool:
        """Whether *server* is one of them; one with several addresses if any of them is."""
        match self.kind:
            case Kind.NAME:
                return server.nickname.lower() == self.text
            case Kind.FAMILY:
                return server.family.lower() == self.text
            case Kind.COUNTRY:
                return server.jurisdiction == self.text
            case Kind.NETWORK:
                return any(map(_rule(self.text).covers, server.addresses))


@lru_cache(256)
def _rule(network: str) -> Rule:
    return Rule(allow=True, network=network)


@dataclass(frozen=True, slots=True)
class List:
    """Servers that may be chosen: all of *allow*, everybody where it is empty, without *deny*."""

    allow: tuple[Term, ...] = ()
    deny: tuple[Term, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.allow or self.deny)

    def takes(self, server: Server) -> bool:
        """Whether *server* may be chosen."""
        if self.allow and not any(term.covers(server) for term in self.allow):
            return False
        return not any(term.covers(server) for term in self.deny)


@dataclass(frozen=True, slots=True)
class Lists:
    """A list for every hop, and one more each for the first and the last."""

    hop: List = List()
    entry: List = List()
    exit: List = List()

    def __bool__(self) -> bool:
        return bool(self.hop or self.entry or self.exit)

    def as_entry(self, server: Server) -> bool:
        """Whether *server* may be chosen for the first hop."""
        return self.hop.takes(server) and self.entry.takes(server)

    def as_exit(self, server: Server) -> bool:
        """Whether *server* may be chosen for the last hop."""
        return self.hop.takes(server) and self.exit.takes(server)

    def unknown(self, view: View) -> Iterator[Term]:
        """Nicknames in the lists that the directory does not have."""
        for term in self._terms():
            if term.kind is Kind.NAME and view.by_name(term.text) is None:
                yield term

    def _terms(self) -> Iterable[Term]:
        for each in (self.hop, self.entry, self.exit):
            yield from (*each.allow, *each.deny)


@dataclass(frozen=True, slots=True)
class Preferences:
    """What one sender's paths keep to, besides the rules that hold for everybody's.

    Where ``entries`` are given, one of them is the first hop of every path that does not name
    its own, each as often as the other; where none of them fits the path one of ``silent``, which
    have taken nothing lately, and else one of ``reserve``.
    """

    entries: tuple[Server, ...] | None = None
    silent: tuple[Server, ...] = ()
    reserve: tuple[Server, ...] = ()
    lists: Lists = Lists()

    @property
    def kept(self) -> tuple[Server, ...]:
        """All kept entries."""
        return (*(self.entries or ()), *self.silent, *self.reserve)


NONE = Preferences()
"""Everybody's rules and nothing else."""
