"""``twistd mixminion-authority``: a directory authority as a service.

Whatever can be fatal is checked in :func:`makeService`, synchronously and before the fork (see
:mod:`mixminion.app.server`); what fails later all the same is logged and ends the process.
``SIGHUP`` and ``mixminion authority reload`` have it read its configuration, its signing key and
the figures again; when any of them is wrong, everything stays as it was.
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
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.threads import deferToThread
from twisted.logger import ILogObserver, Logger
from twisted.python import usage
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion import __version__
from mixminion.app import authority_configuration as configuration
from mixminion.app import passphrase
from mixminion.app.authority_keys import AuthorityKeys, opener
from mixminion.app.authority_rounds import problems, shown
from mixminion.app.authority_status import Health
from mixminion.app.daemon import INTERRUPTED, give_up, tell_parent
from mixminion.app.logs import Log
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
from mixminion.errors import EX_SOFTWARE, MixminionError, UserError, render
from mixminion.net import listeners
from mixminion.net.listeners import Listener
from mixminion.util import faults
from mixminion.util.times import to_text

log = Logger()

FIXED = ("home", "listen", "max_connections", "connections_per_address", "passphrase", "control")
"""Keys of [Authority] that count when the authority starts; so does all of [Log]."""


class Options(usage.Options):
    """The options of ``twistd mixminion-authority``."""

    synopsis = "[--config FILE]"
    optParameters = [
        ["config", "c", AUTHORITY_FILE, "The authority's configuration file."],
    ]

    @override
    def opt_version(self) -> None:
        """Print the version."""
        print(f"Mixminion {__version__}")
        sys.exit(0)


def makeService(options: Options) -> Service:
    """The authority that the configuration describes, checked and ready to start."""
    from twisted.internet import reactor

    clock: Any = reactor
    os.umask(0o077)
    try:
        config = configuration.load(Path(options["config"]).absolute())
        _check(config)
        foreground = bool(options.parent and options.parent["nodaemon"])
        service = AuthorityService(
            clock, config, give_up=lambda code: give_up(clock, code), foreground=foreground
        )
    except MixminionError as error:
        print(f"mixminion: {render(error)}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:  # instead of a passphrase
        raise SystemExit(INTERRUPTED) from None
    signal.signal(signal.SIGHUP, lambda number, frame: clock.callFromThread(service.hung_up))
    return service


def _check(config: Config) -> None:
    problems = configuration.settings(config)
    if problems:
        raise ConfigErrors(problems=problems)
    for wrong in configuration.files(config):
        raise wrong


class AuthorityService(Service):
    """One authority, its log, its lock and its control socket.

    Making one takes the home's lock and checks everything; see :func:`makeService`.
    *give_up* gets an exit code when the authority cannot go on, after that has been logged.
    """

    name = "mixminion-authority"

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
        self._started = False
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
        chosen = config[LogSection]
        self._log = Log(
            chosen.file,
            level=chosen.level,
            max_size=chosen.max_size,
            keep=chosen.keep,
            foreground=foreground,
        )

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

    def _compose(self) -> None:
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

    def _listen(self, factory: IProtocolFactory) -> Listener:
        listen = self._config[AuthoritySection].listen
        self._listener = Listener(self._reactor, listen, factory)
        return self._listener

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
        try:
            self._compose()
            self._control.start()
            self._started = True
        except Exception:
            self._cannot(Failure())
            if not self._foreground:
                tell_parent(self._config[LogSection].file)

    @override
    def startService(self) -> None:
        """Read the register, listen, vote."""
        Service.startService(self)
        if self._started:
            _ = Deferred.fromCoroutine(self.server.start()).addErrback(self._cannot)

    def _cannot(self, failure: Failure) -> None:
        """Something failed after the fork: an authority that is there and does nothing would be
        noticed by nobody."""
        if self._stopping:
            return
        error, code = failure.value, EX_SOFTWARE
        if isinstance(error, MixminionError):
            log.critical("The authority could not start. {sentence}", sentence=render(error))
            code = error.exit_code
        else:
            log.failure("The authority could not start.", failure)
        self._give_up(code)

    @override
    def stopService(self) -> Deferred[None]:
        """Stop in order."""
        Service.stopService(self)
        self._stopping = True
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        if self._started:
            await self.server.stop()
            await self._control.stop()
        self._lock.release()

    # -- reading again ---------------------------------------------------------------------------

    def hung_up(self) -> None:
        """``SIGHUP``: reload, and say in the log how that went."""

        def refused(failure: Failure) -> None:
            error = failure.value
            if isinstance(error, MixminionError):
                log.error("Nothing was changed. {sentence}", sentence=render(error))
            else:
                log.failure("The configuration could not be read again.", failure)

        if self._started and not self._stopping:
            _ = Deferred.fromCoroutine(self._reload()).addErrback(refused)

    async def _reload(self) -> list[str]:
        """Go by the files as they are now, if all are good; what needs a restart."""
        config = configuration.load(Path(self._config.filename))
        _check(config)
        found = figures.gather(Settings.of(config).figures.files)
        await self.server.tell(self._read(config, found))
        later = list(self._later(config))
        log.info("The configuration was read again.")
        if later:
            log.warn("These count after a restart only: {keys}.", keys=", ".join(later))
        return later

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

    async def _reloaded(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"restart": await self._reload()}

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
            "configuration": str(self._config.filename),
            "versions": {
                "mixminion": __version__,
                "python": platform.python_version(),
                "twisted": twisted_version,
            },
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

    def _stop(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        self._reactor.callLater(0, self._reactor.stop)
        return {"stopping": True}


def join_line(settings: Settings, identity: bytes) -> str:
    """What others put under ``[Directory] authorities``."""
    section = settings.authority
    return f"{section.nickname} {identity.hex()} {section.url}"
