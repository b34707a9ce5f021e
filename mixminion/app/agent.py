"""``twistd mixminion-agent``: a client that runs, as a service.

Whatever can be fatal is checked in :func:`makeService`, synchronously and before the fork (see
:mod:`mixminion.app.server`); what fails later all the same is logged and ends the process.
``SIGHUP`` and ``mixminion agent reload`` have it read its configuration again; when that is wrong,
everything stays as it was.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.copyright import version as twisted_version
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, Logger
from twisted.python import usage
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion import __version__, api
from mixminion.app.agent_status import status
from mixminion.app.daemon import give_up, tell_parent
from mixminion.app.logs import Log
from mixminion.app.process import harden
from mixminion.client import configuration
from mixminion.client.configuration import ClientSection
from mixminion.client.running import warnings
from mixminion.client.sections import LogSection, ScheduleSection
from mixminion.config import Config
from mixminion.control.server import Command, ControlServer
from mixminion.disk import private
from mixminion.disk.lock import HomeLock
from mixminion.errors import EX_SOFTWARE, MixminionError, UserError, render
from mixminion.util import faults

log = Logger()


class Options(usage.Options):
    """The options of ``twistd mixminion-agent``."""

    synopsis = "[--config FILE]"
    optParameters = [
        ["config", "c", None, "The client's configuration file, when it is not the usual one."],
    ]

    @override
    def opt_version(self) -> None:
        """Print the version."""
        print(f"Mixminion {__version__}")
        sys.exit(0)


def makeService(options: Options) -> Service:
    """The agent that the configuration describes, checked and ready to start."""
    from twisted.internet import reactor

    clock: Any = reactor
    os.umask(0o077)
    try:
        config = api.load_config(options["config"])
        foreground = bool(options.parent and options.parent["nodaemon"])
        service = AgentService(
            clock, config, give_up=lambda code: give_up(clock, code), foreground=foreground
        )
    except MixminionError as error:
        print(f"mixminion: {render(error)}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    signal.signal(signal.SIGHUP, lambda number, frame: clock.callFromThread(service.hung_up))
    return service


class AgentService(Service):
    """One agent: its client, its log, its lock and its control socket.

    Making one takes the home's lock and checks everything; see :func:`makeService`.
    *give_up* gets an exit code when the agent cannot go on, after that has been logged.
    """

    name = "mixminion-agent"

    def __init__(
        self,
        reactor: Any,
        config: Config,
        *,
        give_up: Callable[[int], object],
        foreground: bool = True,
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._give_up = give_up
        self._foreground = foreground
        self._stopping = False
        self._client: api.Client | None = None
        self._reloading: Deferred[None] | None = None
        home = self._home = config[ClientSection].home
        private.make_folder(home)
        private.check(home)
        self._lock = HomeLock(home)
        self._lock.acquire()
        harden()
        state = home / "client.sqlite"
        if state.exists():
            private.check(state)
        chosen = config[LogSection]
        self._log = Log(
            chosen.file,
            level=chosen.level,
            max_size=chosen.max_size,
            keep=chosen.keep,
            foreground=foreground,
        )

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
        """Open what commands need; twistd has become a daemon by now."""
        Service.privilegedStartService(self)
        faults.hush(lambda text: log.critical("Nobody caught this: {report}", report=text))
        harden()
        self._lock.note_pid()
        commands: dict[str, Command] = {
            "status": self._status,
            "follow": self._follow,
            "reload": self._reloaded,
            "stop": self._stop,
        }
        self._control = ControlServer(self._home / "control", commands, self._reactor)
        try:
            self._client = self._made(self._config)
            self._control.start()
        except Exception:
            self._cannot(Failure())
            if not self._foreground:
                tell_parent(self._config[LogSection].file)

    @override
    def startService(self) -> None:
        """Send at random points, and keep the directory current."""
        Service.startService(self)
        if self._client is not None:
            try:
                self._begin(self._client)
            except Exception:
                self._cannot(Failure())

    def _made(self, config: Config) -> api.Client:
        return api.Client(self._reactor, config)

    def _begin(self, client: api.Client) -> None:
        for warning in warnings(self._config[ScheduleSection]):
            log.warn("{warning}", warning=str(warning))
        client.startService()
        client.start_schedule()

    def _cannot(self, failure: Failure) -> None:
        """Something failed after the fork: an agent that is there and does nothing would be
        noticed by nobody."""
        if self._stopping:
            return
        error, code = failure.value, EX_SOFTWARE
        if isinstance(error, MixminionError):
            log.critical("The agent could not start. {sentence}", sentence=render(error))
            code = error.exit_code
        else:
            log.failure("The agent could not start.", failure)
        self._give_up(code)

    @override
    def stopService(self) -> Deferred[None]:
        """Stop in order."""
        Service.stopService(self)
        self._stopping = True
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        if self._reloading is not None:
            await self._reloading
        client, self._client = self._client, None
        if client is not None:
            await client.stopService()  # whoever follows gets his answer
            await self._control.stop()
        self._lock.release()

    # -- reading again -------------------------------------------------------------------------

    def hung_up(self) -> None:
        """``SIGHUP``: reload, and say in the log how that went."""

        def refused(failure: Failure) -> None:
            error = failure.value
            if isinstance(error, MixminionError):
                log.error("Nothing was changed. {sentence}", sentence=render(error))
            else:
                log.failure("The configuration could not be read again.", failure)

        if self._client is not None and not self._stopping:
            _ = Deferred.fromCoroutine(self._reload()).addErrback(refused)

    async def _reload(self) -> list[str]:
        """Go by the configuration as it is now, if it is good; what needs a restart."""
        if self._reloading is not None or self._client is None:
            raise UserError(problem="The agent is reading its configuration again already.")
        config = configuration.load(Path(self._config.filename))
        later = [
            name
            for name, changed in (
                ("[Client] home", config[ClientSection].home != self._home),
                ("[Log]", config[LogSection] != self._config[LogSection]),
            )
            if changed
        ]
        if later[:1] == ["[Client] home"]:
            raise UserError(problem="The home has changed: stop the agent, and start it again.")
        over = self._reloading = Deferred()
        try:
            await self._client.stopService()
            self._config = config
            self._client = self._made(config)
            self._begin(self._client)
        finally:
            self._reloading = None
            over.callback(None)
        log.info("The configuration was read again.")
        if later:
            log.warn("These count after a restart only: {keys}.", keys=", ".join(later))
        return later

    # -- commands ------------------------------------------------------------------------------

    async def _reloaded(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"restart": await self._reload()}

    async def _status(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """JSON values, the same for every version of this format."""
        if self._client is None:
            return {"attention": ["The agent stops."], "ready": False}
        return {
            **await status(self._client, self._config),
            "configuration": str(self._config.filename),
            "versions": {
                "mixminion": __version__,
                "python": platform.python_version(),
                "twisted": twisted_version,
            },
            "pids": [os.getpid()],
        }

    async def _follow(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """What became of kept packets, all of them where none is named: answered when each is on
        its entry's disk, or an attempt was in vain."""
        match arguments:
            case {"numbers": list(numbers)} if all(isinstance(each, int) for each in numbers):
                pass
            case _:
                raise UserError(problem="The request is not of this version's form.")
        if self._client is None:
            raise UserError(problem="The agent stops.")
        flushed = await self._client.flush(numbers)
        return {
            "handed": list(flushed.handed),
            "kept": {
                str(id): {"code": error.code, "sentence": render(error)}
                for id, error in flushed.kept.items()
            },
        }

    def _stop(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        self._reactor.callLater(0, self._reactor.stop)
        return {"stopping": True}
