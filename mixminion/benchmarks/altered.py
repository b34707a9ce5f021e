"""``python -m mixminion.benchmarks.altered ALTERATION HOME``: the server in HOME, with one thing
changed that no configuration can change.

Without one of its safety measures it shows what that costs; on a slower disk, what it bears.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import lmdb

from mixminion.crypto.aead import TAG
from mixminion.store.keyring import WRAPPED, Keyring
from mixminion.store.spool import Spool

COMMIT = 0.010
"""Seconds that a commit takes longer on the slow disk."""


def replace(owner: Any, name: str, function: Callable[..., Any]) -> None:
    """Have *owner* do something else under a name."""
    setattr(owner, name, function)


def slow_disk() -> None:
    """A group's results come 10 ms later."""
    together = Spool._together

    def slowly(spool: Spool, jobs: Any) -> None:
        together(spool, jobs)
        time.sleep(COMMIT)

    replace(Spool, "_together", slowly)


def without_sync() -> None:
    """What is committed is in the operating system's cache."""
    opened = lmdb.open

    def unsynced(*arguments: Any, **options: Any) -> Any:
        return opened(*arguments, **{**options, "sync": False, "metasync": False})

    replace(lmdb, "open", unsynced)
    replace(lmdb, "Environment", unsynced)


def without_sealing() -> None:
    """Records are stored as they are, with as many octets."""

    def seal(keyring: Keyring, place: bytes, bound: bytes, record: bytes) -> tuple[bytes, bytes]:
        return bytes(WRAPPED), record + bytes(TAG)

    def unseal(
        keyring: Keyring, place: bytes, bound: bytes, wrapped: bytes, sealed: bytes
    ) -> bytes:
        return sealed[:-TAG]

    replace(Keyring, "seal", seal)
    replace(Keyring, "open", unseal)


ALTERATIONS: dict[str, Callable[[], None]] = {
    "slow-disk": slow_disk,
    "without-sync": without_sync,
    "without-sealing": without_sealing,
}


def main(alteration: str, home: str) -> None:
    """Change it, then be twistd."""
    from twisted.scripts.twistd import run

    ALTERATIONS[alteration]()
    sys.argv = ["twistd", "--nodaemon", "--rundir", home, "--pidfile", f"{home}/twistd.pid"]
    sys.argv += ["mixminion", "--config", f"{home}/mixminiond.conf"]
    run()


if __name__ == "__main__":
    main(*sys.argv[1:])
