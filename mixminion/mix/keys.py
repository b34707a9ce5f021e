"""Packet keys as a worker keeps them: one private file a key period.

Only worker processes open these.  The file is JSON,
``{"period": n, "private": hex, "suite": name, "version": 1}``, and may be protected by a
passphrase as a whole (:mod:`mixminion.disk.sealed`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from mixminion.crypto.passphrase import Passphrase
from mixminion.disk import private, sealed
from mixminion.errors import OperatorError
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.unwrap import Unwrapper

VERSION = 1
SECRET = 32

PURPOSE = b"packet-key"

_OURS = re.compile(r"\.?packet-(?P<period>[0-9]+)\.key(?P<unfinished>\..+)?")


class DamagedKey(OperatorError):
    """A packet key's file is unreadable or of another suite."""

    code = "packet-key-damaged"
    sentence = (
        "The packet key {path} cannot be read. Move it away and start again: packets "
        "wrapped for it are lost, a new key is made."
    )


def periods_in(folder: Path) -> list[int]:
    """Of which periods there are keys, as the names of files say."""
    names = (_OURS.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(name["period"]) for name in names if name and not name["unfinished"])


def unfinished_in(folder: Path) -> int:
    """How many half written or half erased keys there are."""
    names = (_OURS.fullmatch(path.name) for path in folder.iterdir())
    return sum(bool(name and name["unfinished"]) for name in names)


class PacketKeys:
    """The packet keys in *folder*: made, loaded once each, erased when their time is over.

    Their files are protected by ``passphrase``, unless it is None.
    """

    def __init__(self, folder: Path, geometry: Geometry, node_id: bytes) -> None:
        self.passphrase: Passphrase | None = None
        self._folder = folder
        self._geometry = geometry
        self._node_id = node_id
        self._unwrappers: dict[int, Unwrapper] = {}

    def path(self, period: int) -> Path:
        """The file of a period's key."""
        return self._folder / f"packet-{period}.key"

    def make(self, period: int) -> bytes:
        """The public key of *period*; the pair is made and stored when there is none."""
        suite = self._geometry.suite
        if not self.path(period).exists():
            secret, _ = suite.generate()
            fields = {
                "version": VERSION,
                "suite": suite.name,
                "period": period,
                "private": secret.hex(),
            }
            octets = json.dumps(fields, sort_keys=True).encode("ascii")
            sealed.write(self.path(period), octets, PURPOSE, self.passphrase)
        return suite.public(self._private(period))

    def unwrapper(self, period: int) -> Unwrapper | None:
        """The period's unwrapper, or None while its key is not here; another worker may make it."""
        if period not in self._unwrappers and self.path(period).exists():
            self._unwrappers[period] = Unwrapper(
                self._geometry, self._node_id, self._private(period)
            )
        return self._unwrappers.get(period)

    def check(self) -> None:
        """Open every key; raises :class:`DamagedKey` and what :mod:`mixminion.disk.sealed` does."""
        for period in periods_in(self._folder):
            self._private(period)

    def change(self, new: Passphrase | None) -> None:
        """Protect every key by another passphrase; before the first all are opened once."""
        paths = [self.path(period) for period in periods_in(self._folder)]
        for path in paths:
            sealed.read_either(path, PURPOSE, self.passphrase, new)
        for path in paths:
            octets = sealed.read_either(path, PURPOSE, self.passphrase, new)
            sealed.write(path, octets, PURPOSE, new)
        self.passphrase = new

    def keep(self, periods: Iterable[int]) -> None:
        """Erase the keys of all other periods, here and on disk, and what a worker that was
        killed while it wrote one left behind."""
        kept = set(periods)
        self._unwrappers = {n: opener for n, opener in self._unwrappers.items() if n in kept}
        for path in self._folder.iterdir():
            found = _OURS.fullmatch(path.name)
            if found and (found["unfinished"] or int(found["period"]) not in kept):
                private.erase(path)

    def _private(self, period: int) -> bytes:
        path = self.path(period)
        try:
            fields = json.loads(sealed.read(path, PURPOSE, self.passphrase))
            known = fields["version"] == VERSION and fields["period"] == period
            secret = bytes.fromhex(fields["private"])
            if known and fields["suite"] == self._geometry.suite.name and len(secret) == SECRET:
                return secret
            raise DamagedKey(path=path)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DamagedKey(path=path) from error
