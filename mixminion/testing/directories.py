"""Where a local network's directory comes from: signed by hand, or made by authorities."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.testing.authorities import LocalAuthorities, LocalAuthority
from mixminion.testing.commands import wait_until
from mixminion.testing.directory import SignedDirectory
from mixminion.testing.signings import Signings, always

if TYPE_CHECKING:
    from mixminion.testing.network import Mix

AUTHORITIES = 3
PATIENCE = 60.0
"""Seconds for authorities to do one thing."""


class Directory(Protocol):
    """What a network needs of it, in this order."""

    def make(self) -> None:
        """Keys, and homes where there are any."""

    @property
    def lines(self) -> Sequence[str]:
        """What servers and clients have under ``[Directory] authorities``."""

    def add(self, mixes: Sequence[Mix]) -> None:
        """These mixes have homes now."""

    def start(self) -> None:
        """After this the mixes can be started."""

    def complete(self, mixes: Sequence[Mix]) -> None:
        """The mixes run; after this each of them, and who asks, has a directory of them all."""

    def stop(self) -> None:
        """End what runs of it."""


class ByHand:
    """Signed once with keys that are thrown away, valid as long as *parameters* say."""

    def __init__(self, parameters: Parameters | None = None) -> None:
        parameters = parameters or Parameters.local_demo()
        schedule = always(PacketGeometry.make())
        self.signings = Signings(parameters, schedule, authorities=AUTHORITIES)
        self.signed: SignedDirectory

    @property
    def lines(self) -> Sequence[str]:
        """See :class:`Directory`."""
        return [public.hex() for public in self.signings.authorities]

    @property
    def secrets(self) -> Sequence[bytes]:
        """The authorities' raw private keys."""
        return self.signings.secrets

    def make(self) -> None:
        """See :class:`Directory`."""

    def add(self, mixes: Sequence[Mix]) -> None:
        """Sign, and give every mix what was signed."""
        self.signed = self.signings.sign([mix.descriptor for mix in mixes], time.time())
        for mix in mixes:
            self.signed.write(mix.home / "directory")

    def start(self) -> None:
        """See :class:`Directory`."""

    def complete(self, mixes: Sequence[Mix]) -> None:
        """See :class:`Directory`."""

    def stop(self) -> None:
        """See :class:`Directory`."""


class ByVote:
    """Made by *count* authorities under *folder*, processes of their own, every few seconds."""

    def __init__(self, folder: Path, count: int = AUTHORITIES) -> None:
        self.authorities = LocalAuthorities(folder, count)

    @property
    def lines(self) -> Sequence[str]:
        """See :class:`Directory`."""
        return self.authorities.lines()

    def make(self) -> None:
        """See :class:`Directory`."""
        self.authorities.make()

    def add(self, mixes: Sequence[Mix]) -> None:
        """See :class:`Directory`."""

    def start(self) -> None:
        """Start the authorities; a server waits by itself for their first consensus."""
        self.authorities.start()

    def complete(self, mixes: Sequence[Mix]) -> None:
        """Let everybody in once all authorities have found them: who is in a network's first list
        of servers can be used at once."""
        voters = self.authorities.all
        wait_until(
            lambda: all(found(each, len(mixes)) for each in voters),
            PATIENCE,
            "the authorities do not find all servers; see `mixminion authority servers`",
        )
        for each in voters:
            for mix in mixes:
                each.approve(mix.nickname)
        wait_until(
            lambda: all(mix.ask("status")["directory"]["servers"] == len(mixes) for mix in mixes),
            PATIENCE,
            "the servers have no directory that lists them all; see `mixminion server status`",
        )

    def stop(self) -> None:
        """See :class:`Directory`."""
        self.authorities.stop()


def found(authority: LocalAuthority, count: int) -> bool:
    """Whether so many servers have been dialled and answer."""
    places = [
        place["answers"]
        for server in authority.ask("servers")["servers"]
        for place in server.get("addresses", [])
    ]
    return places == [True] * count
