"""Copies of what opens answers, in a folder of another disk, written before blocks are handed out.

An export is of a moment; blocks that are made after it would be lost with the machine.  A copy has
the blocks that were made together and the mailbox where their answers come, sealed to their
identity's public key, so that making one takes no passphrase and reading it does::

    MIXCOPY | version 1 | fingerprint of the identity(32) | HPKE of an export without identities

The file is named by the last day of its blocks, and goes when an answer to them could not be read
any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from mixminion.client import exporting
from mixminion.client.database import Database, Executor
from mixminion.client.exporting import Restored
from mixminion.client.identities import Identities, Identity, Unlocked
from mixminion.client.identity_errors import CopyOfAnother, NotACopy
from mixminion.client.remembering import ReplyBlocksSection
from mixminion.crypto import hpke
from mixminion.disk import private
from mixminion.disk.errors import WriteFailed
from mixminion.payload import public_key

MAGIC = b"MIXCOPY\1"
INFO = b"mixminion2 reply block copy"
SUFFIX = ".mixcopy"

_NAME = re.compile(rf"(\d{{4}}-\d\d-\d\d)-[0-9a-f]{{16}}{re.escape(SUFFIX)}", re.ASCII)
_START = len(MAGIC) + public_key.FINGERPRINT


class Copies:
    """Writes copies where the configuration names a folder, and takes them over."""

    def __init__(
        self,
        database: Database,
        identities: Identities,
        section: ReplyBlocksSection,
        executor: Executor,
    ) -> None:
        self._database = database
        self._identities = identities
        self._section = section
        self._executor = executor

    async def write(
        self, identity: Identity, surb_ids: Sequence[bytes], ends: float, now: float
    ) -> None:
        """Copy new blocks of *identity*, the last of which ends then; where that cannot be done
        they are forgotten, since nobody has them yet.

        :raises WriteFailed: the folder cannot be written.
        """
        folder = self._section.copies
        if folder is None:
            return
        octets = await self._database.run(
            lambda connection: exporting.collect_blocks(connection, surb_ids)
        )
        sealed = MAGIC + public_key.fingerprint(identity.public)
        sealed += hpke.seal(identity.public, octets, INFO)
        name = f"{_day(ends)}-{surb_ids[0][:8].hex()}{SUFFIX}"
        last = _day(now - self._section.wait_for_answers)
        try:
            await self._executor.run(_write, folder, name, sealed, last)
        except WriteFailed:
            given = [(surb_id,) for surb_id in surb_ids]
            await self._database.run(
                lambda connection: connection.executemany(
                    "DELETE FROM reply_blocks WHERE surb_id = ?", given
                )
            )
            raise

    async def restore(self, copies: Mapping[str, bytes], passphrase: bytes | None) -> Restored:
        """Take over copies, each under its file's name; what is here stays as it is, and a copy
        that cannot be read stops all.

        :raises NotACopy: one is none.
        :raises CopyOfAnother: its identity is not here.
        :raises PassphraseNeeded: or it is protected; and what else
            :meth:`mixminion.client.identities.Identities.unlock` raises.
        """
        known = {public_key.fingerprint(each.public): each for each in await self._identities.all()}
        unlocked: dict[bytes, Unlocked] = {}
        exports = []
        for name, octets in copies.items():
            whose, sealed = _parts(octets, name)
            if whose not in known:
                raise CopyOfAnother(path=name)
            if whose not in unlocked:
                unlocked[whose] = await self._identities.unlock(known[whose], passphrase)
            opened = unlocked[whose].open(sealed, INFO)
            if opened is None:
                raise NotACopy(path=name)
            exports.append(exporting.read(opened, name))
        restored = await self._database.run(
            lambda connection: [exporting.restore(connection, each) for each in exports]
        )
        mailboxes = sum(each.mailboxes for each in restored)
        return Restored((), mailboxes, sum(each.blocks for each in restored))


def _parts(octets: bytes, name: str) -> tuple[bytes, bytes]:
    """Whose a copy is, by his key's fingerprint, and what is sealed; raises NotACopy."""
    if not octets.startswith(MAGIC) or len(octets) < _START + hpke.OVERHEAD:
        raise NotACopy(path=name)
    return octets[len(MAGIC) : _START], octets[_START:]


def files(place: Path) -> Iterator[Path]:
    """The copies in a folder, or a single one."""
    if place.is_dir():
        yield from sorted(path for path in place.iterdir() if path.suffix == SUFFIX)
    else:
        yield place


def _write(folder: Path, name: str, sealed: bytes, last: str) -> None:
    """Write a copy, and delete those whose last day was before *last*.  The folder is not made:
    it would be made beside a disk that is not there."""
    private.write(folder / name, sealed)
    with suppress(OSError):  # there is a new one, and that is what counts
        for path in folder.iterdir():
            found = _NAME.fullmatch(path.name)
            if found is not None and found[1] < last:
                path.unlink()


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
