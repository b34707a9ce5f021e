"""Policies of domains that outlive a restart: one private file, read once.

It names domains that mail went to and that have a policy, and no address.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mixminion.disk import private
from mixminion.exits.mta_sts import Policy
from mixminion.exits.threads import Executor

MOST = 1000
"""Policies; the one that was put first goes first."""

LONGEST_FILE = 1 << 22  #: octets

log = Logger()


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    policies: dict[str, Policy]


class DiskCache:
    """A :class:`~mixminion.exits.mta_sts.Cache` in the file *path*; what cannot be read or written
    is logged, and kept in memory alone."""

    def __init__(self, path: Path, executor: Executor) -> None:
        self._path = path
        self._executor = executor
        self._policies: OrderedDict[str, Policy] = OrderedDict()
        self._loaded = False
        self._writing = False
        self._changed = False

    async def get(self, domain: str) -> Policy | None:
        """See :class:`~mixminion.exits.mta_sts.Cache`."""
        if not self._loaded:
            await self._load()
        return self._policies.get(domain)

    def put(self, domain: str, policy: Policy) -> None:
        """See :class:`~mixminion.exits.mta_sts.Cache`."""
        self._policies[domain] = policy
        self._policies.move_to_end(domain)
        if len(self._policies) > MOST:
            self._policies.popitem(last=False)
        self._changed = True
        self._write()

    async def _load(self) -> None:
        found: OrderedDict[str, Policy] = OrderedDict()
        try:
            found.update(await self._executor(self._read))
        except Exception as error:
            self._warn("read", type(error).__name__)
        if not self._loaded:  # somebody else may have been as fast
            self._loaded = True
            self._policies = OrderedDict({**found, **self._policies})

    def _read(self) -> dict[str, Policy]:
        try:
            octets = private.read(self._path)
        except FileNotFoundError:
            return {}
        if len(octets) > LONGEST_FILE:
            raise ValueError
        file = msgspec.json.decode(octets, type=_File)
        if file.version != 1:
            raise ValueError
        return dict(list(file.policies.items())[-MOST:])

    def _write(self) -> None:
        """One write at a time, so that none comes before an earlier one."""
        if self._writing or not self._changed:
            return
        self._writing, self._changed = True, False
        octets = msgspec.json.encode(_File(1, dict(self._policies)))
        writing: Deferred[None] = self._executor(lambda: self._save(octets))
        _ = writing.addBoth(self._written)

    def _save(self, octets: bytes) -> None:
        private.make_folder(self._path.parent)
        private.write(self._path, octets)

    def _written(self, result: object) -> None:
        self._writing = False
        if isinstance(result, Failure):
            self._warn("written", type(result.value).__name__)
        else:
            self._write()

    def _warn(self, what: str, kind: str) -> None:
        log.warn("The policies for MTA-STS could not be {what} ({kind})", what=what, kind=kind)
