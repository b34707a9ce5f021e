"""Packet keys as a worker keeps them: one private file a key period.

Only worker processes open these.  The file is JSON, ``{"commands": n, "hops": n, "packet": n,
"period": n, "private": hex, "suite": name, "version": 2}``, and may be protected by a
passphrase as a whole (:mod:`mixminion.disk.sealed`).  It has the geometry of the period's packets,
because the consensus tells it no longer when the period is over and late packets still come.
Version 1 had the suite alone, with the sizes that are usual for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixminion.crypto.passphrase import Passphrase
from mixminion.disk import private, sealed
from mixminion.disk.errors import PrivateFileError, WriteFailed
from mixminion.disk.sealed import NoPassphrase, UnknownSeal, WrongPassphrase
from mixminion.errors import OperatorError
from mixminion.mix.batches import Made, Wanted
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx import suites
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.unwrap import Unwrapper

VERSION = 2
SECRET = 32

PURPOSE = b"packet-key"

_OURS = re.compile(r"\.?packet-(?P<period>[0-9]+)\.key(?P<unfinished>\..+)?")


class DamagedKey(OperatorError):
    """A packet key's file is unreadable, or of a suite that is not known here."""

    code = "packet-key-damaged"
    sentence = (
        "The packet key {path} cannot be read. Move it away and start again: packets "
        "wrapped for it are lost, a new key is made."
    )


KNOWN: Mapping[str, type[OperatorError]] = {
    error.code: error
    for error in (
        DamagedKey,
        WrongPassphrase,
        NoPassphrase,
        UnknownSeal,
        PrivateFileError,
        WriteFailed,
    )
}
"""What can be wrong with a packet key's file, by its code: whoever asks a worker is told so."""


def periods_in(folder: Path) -> list[int]:
    """Of which periods there are keys, as the names of files say."""
    names = (_OURS.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(name["period"]) for name in names if name and not name["unfinished"])


def unfinished_in(folder: Path) -> int:
    """How many half written or half erased keys there are."""
    names = (_OURS.fullmatch(path.name) for path in folder.iterdir())
    return sum(bool(name and name["unfinished"]) for name in names)


@dataclass(frozen=True, slots=True)
class _Key:
    """A packet key from its file."""

    secret: bytes
    geometry: Geometry

    def made(self, period: int) -> Made:
        suite = self.geometry.suite
        return Made(period, suite.name, suite.public(self.secret))


class PacketKeys:
    """The packet keys in *folder*: made, loaded once each, erased when their time is over.

    Each is for packets of a geometry of its own.  Their files are protected by
    ``passphrase``, unless it is None.
    """

    def __init__(self, folder: Path, node_id: bytes) -> None:
        self.passphrase: Passphrase | None = None
        self._folder = folder
        self._node_id = node_id
        self._unwrappers: dict[int, Unwrapper] = {}

    def path(self, period: int) -> Path:
        """The file of a period's key."""
        return self._folder / f"packet-{period}.key"

    def make(self, wanted: Wanted) -> Made:
        """The public key of a period; the pair is made and stored when there is none.

        One that was made before for another geometry is brought to this one, unless the
        period has begun: then it stays, whatever is wanted.  A key is never used in two
        suites, so for another suite a new one takes its place.
        """
        period, geometry = wanted.period, wanted.geometry
        path = self.path(period)
        if not path.exists():
            return self._write(period, geometry.suite.generate()[0], geometry)
        key = self._read(period)
        if wanted.begun or key.geometry == geometry:
            return key.made(period)
        self._unwrappers.pop(period, None)
        if key.geometry.suite is geometry.suite:
            return self._write(period, key.secret, geometry)
        private.erase(path)
        return self._write(period, geometry.suite.generate()[0], geometry)

    def unwrapper(self, period: int) -> Unwrapper | None:
        """The period's unwrapper, or None while its key is not here; another worker may make it."""
        if period not in self._unwrappers and self.path(period).exists():
            key = self._read(period)
            self._unwrappers[period] = Unwrapper(key.geometry, self._node_id, key.secret)
        return self._unwrappers.get(period)

    def check(self) -> None:
        """Open every key; raises :class:`DamagedKey` and what :mod:`mixminion.disk.sealed` does."""
        for period in periods_in(self._folder):
            self._read(period)

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

    def _write(self, period: int, secret: bytes, geometry: Geometry) -> Made:
        fields = {
            "version": VERSION,
            "suite": geometry.suite.name,
            "hops": geometry.hops,
            "commands": geometry.commands,
            "packet": geometry.packet,
            "period": period,
            "private": secret.hex(),
        }
        octets = json.dumps(fields, sort_keys=True).encode("ascii")
        sealed.write(self.path(period), octets, PURPOSE, self.passphrase)
        return _Key(secret, geometry).made(period)

    def _read(self, period: int) -> _Key:
        path = self.path(period)
        try:
            fields = json.loads(sealed.read(path, PURPOSE, self.passphrase))
            secret = bytes.fromhex(fields["private"])
            if fields["period"] == period and len(secret) == SECRET:
                return _Key(secret, _geometry(fields))
            raise DamagedKey(path=path)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DamagedKey(path=path) from error


def _geometry(fields: Mapping[str, Any]) -> Geometry:
    """What a key's file says of its packets; raises what wrong values make it raise."""
    if fields["version"] == 1:
        return geometries.default(fields["suite"])
    if fields["version"] != VERSION:
        raise ValueError(fields["version"])
    hops, commands, packet = sizes = [fields[name] for name in ("hops", "commands", "packet")]
    if not all(type(each) is int for each in sizes):
        raise TypeError(sizes)
    return Geometry(suites.by_name(fields["suite"]), hops, commands, packet)
