"""The places on this machine that an mbox exit puts mail into, without waiting for a slow one."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred, DeferredLock, TimeoutError
from twisted.logger import Logger
from twisted.python.failure import Failure

from mixminion.exits import mailfiles
from mixminion.exits.mbox_users import User
from mixminion.exits.threads import Executor
from mixminion.interfaces import Clock, Message, Outcome, OutcomeKind
from mixminion.util import faults

PATIENCE = 60.0
"""Seconds for one mail, and for the one before it in the same place; it is tried again later."""
GRACE = 10.0
"""Seconds that a stop leaves to what is being written."""

_WORDS = {
    errno.ENOSPC: "disk-full",
    errno.EDQUOT: "disk-full",
    errno.EFBIG: "disk-full",
    errno.EACCES: "no-permission",
    errno.EPERM: "no-permission",
    errno.EROFS: "no-permission",
    errno.ENOENT: "missing",
    errno.EAGAIN: "locked",
}
_WRONG = frozenset({errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO})

log = Logger()


class Places:
    """Writes, one mail at a time into each place."""

    def __init__(self, clock: Clock, executor: Executor) -> None:
        self._clock = clock
        self._executor = executor
        self._locks: dict[Path, DeferredLock] = {}
        self._working: set[Deferred[None]] = set()

    async def put(self, user: User, message: Message, octets: bytes) -> Outcome:
        """Put *octets*, the mail that *message* is for *user*, into his Maildir, mbox or folder
        of MH.

        What an operator or the user can mend is temporary: ``disk-full``, ``no-permission``,
        ``missing``, ``locked``, ``busy``, ``slow``, ``file-error``.  A place of another kind
        than the file of users says is permanent: ``wrong-kind``.
        """
        path, word, work = _work(user, message, octets.replace(b"\r\n", b"\n"))
        lock = self._locks.setdefault(path, DeferredLock())
        try:
            await lock.acquire().addTimeout(PATIENCE, self._clock)
        except TimeoutError:
            return Outcome(OutcomeKind.TEMPORARY, "busy")
        try:
            await self._away(work, lock).addTimeout(PATIENCE, self._clock)
        except TimeoutError:
            return Outcome(OutcomeKind.TEMPORARY, "slow")
        except OSError as error:
            return _failed(error)
        return Outcome(OutcomeKind.DELIVERED, word)

    async def stop(self) -> None:
        """Let what is being written be written, :data:`GRACE` seconds at most."""
        limit = self._clock.seconds() + GRACE
        for ended in list(self._working):
            try:
                await _shielded(ended).addTimeout(
                    max(0.0, limit - self._clock.seconds()), self._clock
                )
            except TimeoutError:
                return

    def _away(self, work: Callable[[], None], lock: DeferredLock) -> Deferred[None]:
        """Have *work* done, and *lock* let go of at its end; who waits may give up before."""
        working = self._executor(work)
        self._working.add(working)

        def end(result: Failure | None) -> Failure | None:
            self._working.discard(working)
            lock.release()
            return result

        _ = working.addBoth(end)
        return _shielded(working)


def _shielded(working: Deferred[None]) -> Deferred[None]:
    """Fires as *working* does; cancelling it leaves *working* alone."""
    result: Deferred[None] = Deferred()

    def end(outcome: Failure | None) -> None:
        if not result.called:
            result.callback(outcome)

    _ = working.addBoth(end)
    return result


def _work(user: User, message: Message, mail: bytes) -> tuple[Path, str, Callable[[], None]]:
    """The place, its word, and what has to be done."""
    name = f"{message.date}.{message.message_id.strip('<>').replace('/', '_').replace(':', '_')}"
    if user.maildir is not None:
        folder = user.maildir
        return folder, "maildir", lambda: mailfiles.maildir(folder, name, mail)
    if user.mh is not None:
        numbered = user.mh
        return numbered, "mh", lambda: mailfiles.mh(numbered, name, mail)
    assert user.mbox is not None
    file = user.mbox
    date = time.asctime(time.gmtime(message.date))
    return file, "mbox", lambda: mailfiles.mbox(file, date, mail)


def _failed(error: OSError) -> Outcome:
    if error.errno in _WRONG:
        return Outcome(OutcomeKind.PERMANENT, "wrong-kind")
    if isinstance(error, BlockingIOError):
        return Outcome(OutcomeKind.TEMPORARY, "locked")
    word = _WORDS.get(error.errno or 0)
    if word is None:
        log.warn("A mail could not be written: {report}", report=faults.report(error))
    return Outcome(OutcomeKind.TEMPORARY, word or "file-error")
