"""What a server's exits have in common: who gets no mail, and which of them are paused."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from mixminion.counters import Counters
from mixminion.disk.database import ThreadExecutor
from mixminion.errors import UserError
from mixminion.exits import blocking
from mixminion.exits.abuse import AbuseSection
from mixminion.exits.blocking import Blocking, Origin
from mixminion.exits.guard import Guard
from mixminion.interfaces import IExit, Random
from mixminion.util.times import to_text

SECRET = Path("keys") / "blocked.key"
LIST = "blocked.sqlite"


class NoMail(UserError):
    """A command about recipients where no exit has any."""

    code = "no-mail"
    sentence = "This server has no exit to mail, so it sends nobody anything."


class Desk:
    """One for a server; made before its exits, which it guards.

    Making one reads files and may raise what :class:`~mixminion.exits.blocking.Blocking` and
    :func:`~mixminion.exits.blocking.secret` do.
    """

    def __init__(
        self,
        home: Path,
        section: AbuseSection,
        reactor: Any,
        random: Random,
        counters: Counters,
        *,
        mail: bool,
    ) -> None:
        """*mail*: whether there is an exit to mail; without one there is no secret."""
        self._reactor = reactor
        self._counters = counters
        self._mail = mail
        path = home / SECRET
        key = blocking.secret(path, random) if mail else random.octets(blocking.SECRET)
        self.blocking = Blocking(home / LIST, key, section.rules, reactor)

    def guard(self, exit: IExit) -> IExit:
        """*exit*, guarded when it is one to mail."""
        return exit if exit.domain is None else Guard(exit, self.blocking, self._counters)

    def start(self) -> None:
        """Be ready for changes; after the fork."""
        self.blocking.open(ThreadExecutor(self._reactor))

    async def stop(self) -> None:
        """Returns when every change is on the disk."""
        await self.blocking.close()

    def reload(self) -> None:
        """Read files again; raises :class:`~mixminion.config.ConfigErrors`, and then what held
        before goes on to hold."""
        self.blocking.reload()

    # -- for status and commands ---------------------------------------------------------------

    def status(self) -> Mapping[str, Any]:
        """JSON values that identify nobody."""
        return {
            "paused": sorted(self.blocking.paused),
            "blocked": len(self.blocking.entries),
        }

    def attention(self, exits: Collection[str]) -> Iterator[str]:
        """What there is to do, a sentence each."""
        for name in sorted(self.blocking.paused):
            if name in exits:
                yield (
                    f"The exit {name} is paused and its messages wait: let it go on with "
                    f"`mixminion server exit resume {name}`."
                )

    def listing(self, name: str | None) -> Mapping[str, Any]:
        """The list, or what is known of *name*, an address or ``@`` and a domain."""
        self._check()
        if name is None:
            entries = sorted(self.blocking.entries.items(), key=lambda item: item[1].since)
            return {"entries": [_row(entry, each) for entry, each in entries]}
        listed = self.blocking.listed(name)
        return {
            "listed": None if listed is None else _row(self.blocking.hashed(name), listed),
            "ruled": not name.startswith("@") and self.blocking.ruled(name),
        }

    async def add(self, name: str) -> Mapping[str, Any]:
        """Block it for good."""
        self._check()
        return {"new": await self.blocking.add(self.blocking.hashed(name), Origin.OPERATOR)}

    async def remove(self, name: str) -> Mapping[str, Any]:
        """Take it off the list."""
        self._check()
        removed = await self.blocking.remove(name)
        still = self.blocking.listed(name) is not None
        ruled = not name.startswith("@") and self.blocking.ruled(name)
        return {"removed": removed, "still-blocked": still or ruled}

    def _check(self) -> None:
        if not self._mail:
            raise NoMail


def _row(entry: bytes, each: blocking.Entry) -> Mapping[str, Any]:
    return {
        "entry": entry.hex(),
        "since": to_text(each.since),
        "until": None if each.until is None else to_text(each.until),
        "origin": each.origin.value,
    }
