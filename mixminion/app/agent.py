"""``twistd mixminion-agent``: a client that runs, as a service.

Whatever can be fatal is checked in :func:`makeService`, synchronously and before the fork (see
:mod:`mixminion.app.server`); what fails later all the same is logged and ends the process.
``SIGHUP`` and ``mixminion agent reload`` have it read its configuration again; when that is wrong,
everything stays as it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion import api
from mixminion.app import daemon
from mixminion.app.agent_status import status
from mixminion.app.daemon import Daemon
from mixminion.app.process import harden
from mixminion.client import configuration
from mixminion.client.configuration import ClientSection
from mixminion.client.running import warnings
from mixminion.client.sections import LogSection, ScheduleSection
from mixminion.config import Config
from mixminion.control.server import Command, ControlServer
from mixminion.disk import private
from mixminion.disk.lock import HomeLock
from mixminion.errors import UserError, render

log = Logger()


class Options(daemon.Options):
    """The options of ``twistd mixminion-agent``."""

    optParameters = [
        ["config", "c", None, "The client's configuration file, when it is not the usual one."],
    ]


def makeService(options: Options) -> Service:
    """The agent that the configuration describes, checked and ready to start."""

    def build(reactor: Any, give_up: Callable[[int], None], foreground: bool) -> AgentService:
        config = api.load_config(options["config"])
        return AgentService(reactor, config, give_up=give_up, foreground=foreground)

    return daemon.make(options, build)


class AgentService(Daemon):
    """One agent: its client, its log, its lock and its control socket.

    Making one takes the home's lock and checks everything; see :func:`makeService`.
    *give_up* gets an exit code when the agent cannot go on, after that has been logged.
    """

    name = "mixminion-agent"
    kind = "agent"

    def __init__(
        self,
        reactor: Any,
        config: Config,
        *,
        give_up: Callable[[int], object],
        foreground: bool = True,
    ) -> None:
        super().__init__(
            reactor, config, config[LogSection], give_up=give_up, foreground=foreground
        )
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
        self._begin_log()

    # -- the service ---------------------------------------------------------------------------

    @override
    def _open(self) -> None:
        commands: dict[str, Command] = {
            "status": self._status,
            "follow": self._follow,
            "reload": self._reloaded,
            "stop": self._stop,
        }
        self._control = ControlServer(self._home / "control", commands, self._reactor)
        self._client = self._made(self._config)
        self._control.start()

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

    @override
    async def _end(self) -> None:
        if self._reloading is not None:
            await self._reloading
        client, self._client = self._client, None
        if client is not None:
            await client.stopService()  # whoever follows gets his answer
            await self._control.stop()
        self._lock.release()

    # -- reading again -------------------------------------------------------------------------

    @override
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
        return self._read_again(later)

    # -- commands ------------------------------------------------------------------------------

    async def _status(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """JSON values, the same for every version of this format."""
        if self._client is None:
            return {"attention": ["The agent stops."], "ready": False}
        return {
            **await status(self._client, self._config),
            **self._about(),
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
