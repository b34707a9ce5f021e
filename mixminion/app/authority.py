"""``twistd mixminion-authority``: a directory authority as a service.

Whatever can be fatal is checked in :func:`makeService`, synchronously and before the fork (see
:mod:`mixminion.app.server`); what fails later all the same is logged and ends the process.
``SIGHUP`` and ``mixminion authority reload`` have it read its configuration, its signing key and
the figures again; when any of them is wrong, everything stays as it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from typing_extensions import override

from mixminion.app import authority_configuration as configuration
from mixminion.app import daemon, passphrase
from mixminion.app.authority_keys import AuthorityKeys, opener
from mixminion.app.authority_rounds import problems, shown
from mixminion.app.authority_status import Health
from mixminion.app.daemon import Daemon
from mixminion.app.process import harden, protection
from mixminion.app.usual import AUTHORITY_FILE
from mixminion.authority import figures, register
from mixminion.authority.config import AuthoritySection, LogSection, Settings
from mixminion.authority.desk import Desk
from mixminion.authority.dialback import connector, resolver
from mixminion.authority.figures import Figures
from mixminion.authority.folder import PrivateFolder
from mixminion.authority.records import Decision
from mixminion.authority.server import REGISTER, AuthorityServer, Surroundings, Told
from mixminion.config import Config, ConfigErrors
from mixminion.config.schema import info
from mixminion.control.server import Command, ControlServer
from mixminion.crypto.rng import SystemRandom
from mixminion.dirhttp.sources import dial
from mixminion.disk import private
from mixminion.disk.database import ThreadExecutor
from mixminion.disk.lock import HomeLock
from mixminion.errors import MixminionError, UserError, render
from mixminion.net import listeners
from mixminion.net.listeners import Listener
from mixminion.util.times import to_text

log = Logger()

FIXED = ("home", "listen", "max_connections", "connections_per_address", "passphrase", "control")
"""Keys of [Authority] that count when the authority starts; so does all of [Log]."""


class Options(daemon.Options):
    """The options of ``twistd mixminion-authority``."""

    optParameters = [
        ["config", "c", AUTHORITY_FILE, "The authority's configuration file."],
    ]


def makeService(options: Options) -> Service:
    """The authority that the configuration describes, checked and ready to start."""

    def build(reactor: Any, give_up: Callable[[int], None], foreground: bool) -> AuthorityService:
        config = configuration.load(Path(options["config"]).absolute())
        _check(config)
        return AuthorityService(reactor, config, give_up=give_up, foreground=foreground)

    return daemon.make(options, build)


def _check(config: Config) -> None:
    problems = configuration.settings(config)
    if problems:
        raise ConfigErrors(problems=problems)
    for wrong in configuration.files(config):
        raise wrong


class AuthorityService(Daemon):
    """One authority, its log, its lock and its control socket.

    Making one takes the home's lock and checks everything; see :func:`makeService`.
    *give_up* gets an exit code when the authority cannot go on, after that has been logged.
    """

    name = "mixminion-authority"
    kind = "authority"

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
        self._lock = HomeLock(config.home)
        self._lock.acquire()
        section = config[AuthoritySection]
        self._keys = AuthorityKeys(config.home)
        self._identity = self._keys.read_identity()
        harden()
        self._passphrase = opener(
            passphrase.given(section.passphrase, "Passphrase of the signing key: ")
        )
        self._complaint: str | None = None
        self._told = self._read(config, self._figures(config))
        self._seed = self._keys.read_seed()
        register.check(config.home / REGISTER)
        private.make_folder(section.control.parent)
        listeners.trial(section.listen)
        self._begin_log()

    def _figures(self, config: Config) -> Figures:
        """An authority starts without figures rather than not at all."""
        try:
            return figures.gather(Settings.of(config).figures.files)
        except MixminionError as error:
            self._complaint = render(error)
            return Figures()

    def _read(self, config: Config, found: Figures) -> Told:
        """What can be changed while it runs; raises what is wrong with it."""
        signer, statement = self._keys.read_signer(self._passphrase, self._reactor.seconds())
        return Told(Settings.of(config), signer, statement.valid_until, found)

    @override
    def _open(self) -> None:
        """Everything that has threads or sockets, after the fork."""
        reactor: Any = self._reactor
        around = Surroundings(
            clock=reactor,
            random=SystemRandom(),
            home=self._config.home,
            executor=ThreadExecutor(reactor),
            in_thread=deferToThread,
            archive=PrivateFolder(self._config.home / "archive"),
            listen=self._listen,
            dial=dial(reactor, reactor),
            connect=connector(reactor),
            resolve=resolver(reactor),
        )
        self.server = AuthorityServer(self._identity, self._seed, self._told, around)
        self.server.complaint = self._complaint
        self._desk = Desk(self.server)
        commands: dict[str, Command] = {
            "status": self._status,
            "servers": self._servers,
            "decide": self._decide,
            "reload": self._reloaded,
            "stop": self._stop,
        }
        self._control = ControlServer(
            self._config[AuthoritySection].control, commands, self._reactor
        )
        self._control.start()

    def _listen(self, factory: IProtocolFactory) -> Listener:
        listen = self._config[AuthoritySection].listen
        self._listener = Listener(self._reactor, listen, factory)
        return self._listener

    # -- the service ---------------------------------------------------------------------------

    @override
    def startService(self) -> None:
        """Read the register, listen, vote."""
        Service.startService(self)
        if self._opened:
            _ = Deferred.fromCoroutine(self.server.start()).addErrback(self._cannot)

    @override
    async def _end(self) -> None:
        if self._opened:
            await self.server.stop()
            await self._control.stop()
        self._lock.release()

    # -- reading again ---------------------------------------------------------------------------

    @override
    async def _reload(self) -> list[str]:
        """Go by the files as they are now, if all are good; what needs a restart."""
        config = configuration.load(Path(self._config.filename))
        _check(config)
        found = figures.gather(Settings.of(config).figures.files)
        await self.server.tell(self._read(config, found))
        return self._read_again(list(self._later(config)))

    def _later(self, config: Config) -> Any:
        """The keys that have changed and count when the authority starts."""
        for section, names in (
            (AuthoritySection, FIXED),
            (LogSection, tuple(each.attribute for each in info(LogSection).options.values())),
        ):
            before: Any = self._config[section]
            now: Any = config[section]
            for name in names:
                if getattr(before, name) != getattr(now, name):
                    yield f"[{info(section).kind}] {name.replace('_', '-')}"

    # -- commands ------------------------------------------------------------------------------

    def _servers(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"servers": self._desk.servers()}

    async def _decide(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        match arguments:
            case {"name": str(name), "decision": str(word), "exit": bool(exit), "note": str(note)}:
                decision = Decision(word)
            case _:
                raise UserError(problem="The request is not of this version's form.")
        return await self._desk.decide(name, decision, exit=exit, note=note)

    def _status(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """JSON values, the same for every version of this format."""
        server, now = self.server, self._reactor.seconds()
        settings = server.settings
        rounds = None if server.rounds is None else server.rounds.status()
        interval = settings.network.parameters().consensus_interval
        states = [each["state"] for each in self._desk.servers()]
        reports = [
            {"operator": each.operator, "written": to_text(each.written)}
            for each in server.figures.reports
        ]
        health = Health(
            ready=server.ready,
            signing_ends=server.told.signing_ends,
            waiting=self._desk.waiting(),
            complaint=server.complaint,
            stale=[
                each.operator
                for each in server.figures.reports
                if now - each.written >= settings.figures.expiry
            ],
            problems=[]
            if rounds is None
            else [*problems(rounds, self._name, self._identity, now, interval)],
        )
        return {
            "attention": [*health.attention(now)],
            "ready": server.ready,
            "nickname": settings.authority.nickname,
            "identity": self._identity.hex(),
            "join-line": join_line(settings, self._identity),
            **self._about(),
            "pids": [os.getpid()],
            "protection": protection().for_status(),
            "listeners": [str(address) for address in self._listener.addresses]
            if server.ready
            else [],
            "signing-key": {"valid-until": to_text(server.told.signing_ends)},
            **({} if rounds is None else shown(rounds, self._name)),
            "servers": {state: states.count(state) for state in sorted(set(states))},
            "figures": reports,
        }

    def _name(self, identity: bytes) -> str:
        if identity == self._identity:
            return self.server.settings.authority.nickname
        return self.server.settings.name_of(identity)


def join_line(settings: Settings, identity: bytes) -> str:
    """What others put under ``[Directory] authorities``."""
    section = settings.authority
    return f"{section.nickname} {identity.hex()} {section.url}"
