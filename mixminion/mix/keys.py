"""Packet keys as a worker keeps them: one private file a key period.

Only worker processes open these.  The file is JSON,
``{"period": n, "private": hex, "suite": name, "version": 1}``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from mixminion.disk import private
from mixminion.errors import OperatorError
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.unwrap import Unwrapper

VERSION = 1


class DamagedKey(OperatorError):
    """A packet key's file is unreadable or of another suite."""

    code = "packet-key-damaged"
    sentence = (
        "The packet key {path} cannot be read. Move it away and start again: packets "
        "wrapped for it are lost, a new key is made."
    )


class PacketKeys:
    """The packet keys in *folder*: made, loaded once each, erased when their time is over."""

    def __init__(self, folder: Path, geometry: Geometry, node_id: bytes) -> None:
        self._folder = folder
        self._geometry = geometry
        self._node_id = node_id
        self._unwrappers: dict[int, Unwrapper | None] = {}

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
            private.write(self.path(period), octets)
            self._unwrappers.pop(period, None)
        return suite.public(self._private(period))

    def unwrapper(self, period: int) -> Unwrapper | None:
        """The period's unwrapper, or None when its key is not here."""
        if period not in self._unwrappers:
            self._unwrappers[period] = (
                Unwrapper(self._geometry, self._node_id, self._private(period))
                if self.path(period).exists()
                else None
            )
        return self._unwrappers[period]

    def keep(self, periods: Iterable[int]) -> None:
        """Erase the keys of all other periods."""
        kept = set(periods)
        for path in self._folder.glob("packet-*.key"):
            number = path.stem.removeprefix("packet-")
            if number.isdigit() and int(number) not in kept:
                path.unlink(missing_ok=True)
                self._unwrappers.pop(int(number), None)

    def _private(self, period: int) -> bytes:
        path = self.path(period)
        try:
            fields = json.loads(private.read(path))
            known = fields["version"] == VERSION and fields["period"] == period
            if not known or fields["suite"] != self._geometry.suite.name:
                raise DamagedKey(path=path)
            return bytes.fromhex(fields["private"])
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedKey(path=path) from error
