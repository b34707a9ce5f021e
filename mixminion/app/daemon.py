"""What all daemons have in common: how they are made, begin, cannot go on, and read again.

Whatever can be fatal is checked while the service is made, synchronously and before the fork:
there ``SystemExit`` with a code is the one clean end.  What needs threads, processes or sockets
is opened after it, in ``privilegedStartService``.  What fails then all the same is logged and
ends the process; as long as twistd's first process waits for the daemon, it ends with 1.
"""

from __future__ import annotations

import atexit
import os
import platform
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.copyright import version as twisted_version
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, Logger
from twisted.python import usage
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion import __version__
from mixminion.app.logs import Log
from mixminion.app.process import harden
from mixminion.config import Config
from mixminion.config.log_section import LogSection
from mixminion.disk.errors import WriteFailed
from mixminion.disk.lock import HomeLock
from mixminion.errors import EX_SOFTWARE, MixminionError, render
from mixminion.util import faults

INTERRUPTED = 130

log = Logger()


class NotStarted(Exception):
    """What twistd's first process says of a daemon that could not begin: where the reason is."""


class Options(usage.Options):
    """The options of a daemon; each adds its own ``--config``."""

    synopsis = "[--config FILE]"

    @override
    def opt_version(self) -> None:
        """Print the version."""
        print(f"Mixminion {__version__}")
        sys.exit(0)


class Daemon(Service):
    """One daemon: its log, its lock, its commands.

    *give_up* gets an exit code when it cannot go on, after that has been logged.  Whoever derives
    from this takes :attr:`_lock` and makes :attr:`_log` once it has checked what it needs.
    """

    kind = "daemon"  #: what its log calls it
    _lock: HomeLock
    _log: Log

    def __init__(
        self,
        reactor: Any,
        config: Config,
        section: LogSection,
        *,
        give_up: Callable[[int], object],
        foreground: bool,
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._log_section = section
        self._give_up = give_up
        self._foreground = foreground
        self._opened = self._stopping = False

    def _open(self) -> None:
        """Open what commands need, after the fork."""
        raise NotImplementedError

    async def _end(self) -> None:
        """Stop in order."""
        raise NotImplementedError

    async def _reload(self) -> list[str]:
        """Go by the files as they are now, if all are good; what needs a restart."""
        raise NotImplementedError

    def _begin_log(self) -> None:
        section = self._log_section
        try:
            self._log = Log(
                section.file,
                level=section.level,
                max_size=section.max_size,
                keep=section.keep,
                foreground=self._foreground,
            )
        except OSError as error:
            raise WriteFailed(path=section.file, reason=error.strerror) from error

    # -- the service ---------------------------------------------------------------------------

    @override
    def setServiceParent(self, parent: Any) -> None:
        """Give the application our log, and let it begin before twistd writes its own."""
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._log)
            Logger(observer=self._log).info(
                "Mixminion {version}, configuration {file}.",
                version=__version__,
                file=str(self._config.filename),
            )
        Service.setServiceParent(self, parent)

    @override
    def privilegedStartService(self) -> None:
        """Open everything; twistd has become a daemon by now."""
        Service.privilegedStartService(self)
        faults.hush(lambda text: log.critical("Nobody caught this: {report}", report=text))
        harden()
        self._lock.note_pid()
        try:
            self._open()
            self._opened = True
        except Exception:
            self._cannot(Failure())
            if not self._foreground:
                tell_parent(self._log_section.file)

    def _cannot(self, failure: Failure) -> None:
        """Something failed after the fork: a daemon that is there and does nothing would be
        noticed by nobody."""
        if self._stopping:
            return
        error, code = failure.value, EX_SOFTWARE
        if isinstance(error, MixminionError):
            log.critical(
                "The {kind} could not start. {sentence}", kind=self.kind, sentence=render(error)
            )
            code = error.exit_code
        else:
            log.failure("The {kind} could not start.", failure, kind=self.kind)
        self._give_up(code)

    @override
    def stopService(self) -> Deferred[None]:
        """Stop in order."""
        Service.stopService(self)
        self._stopping = True
        return Deferred.fromCoroutine(self._end())

    # -- reading again -------------------------------------------------------------------------

    def hung_up(self) -> None:
        """``SIGHUP``: reload, and say in the log how that went."""

        def refused(failure: Failure) -> None:
            error = failure.value
            if isinstance(error, MixminionError):
                log.error("Nothing was changed. {sentence}", sentence=render(error))
            else:
                log.failure("The configuration could not be read again.", failure)

        if self._opened and not self._stopping:
            _ = Deferred.fromCoroutine(self._reload()).addErrback(refused)

    @staticmethod
    def _read_again(later: list[str]) -> list[str]:
        """Say that it was, and which keys need a restart."""
        log.info("The configuration was read again.")
        if later:
            log.warn("These count after a restart only: {keys}.", keys=", ".join(later))
        return later

    # -- commands ------------------------------------------------------------------------------

    async def _reloaded(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"restart": await self._reload()}

    def _stop(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        self._reactor.callLater(0, self._reactor.stop)
        return {"stopping": True}

    def _about(self) -> dict[str, Any]:
        """What every ``status`` has of the program itself."""
        return {
            "configuration": str(self._config.filename),
            "versions": {
                "mixminion": __version__,
                "python": platform.python_version(),
                "twisted": twisted_version,
            },
        }


def make(options: Options, build: Callable[[Any, Callable[[int], None], bool], Daemon]) -> Daemon:
    """The service that *build* makes of a reactor, a way to give up, and whether it stays in the
    foreground; what it raises ends twistd with one sentence and its own exit code."""
    from twisted.internet import reactor

    clock: Any = reactor
    os.umask(0o077)
    foreground = bool(options.parent and options.parent["nodaemon"])
    try:
        service = build(clock, lambda code: give_up(clock, code), foreground)
    except MixminionError as error:
        print(f"mixminion: {render(error)}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:  # instead of a passphrase
        raise SystemExit(INTERRUPTED) from None
    signal.signal(signal.SIGHUP, lambda number, frame: clock.callFromThread(service.hung_up))
    return service


def give_up(reactor: Any, code: int) -> None:
    """End the process; twistd alone would end with 0 whatever happened."""
    atexit.register(os._exit, code)
    reactor.callWhenRunning(reactor.stop)


def tell_parent(log: Path) -> NoReturn:
    """Have twistd's first process end with 1 instead of 0; called in ``privilegedStartService``,
    after *log* has got the reason.

    An exception that leaves it is what twistd tells that process; ``SystemExit`` it does not.
    """
    sys.excepthook = lambda *what: None  # twistd raises it again here, and all is said
    raise NotStarted(f"see {log}")
