"""``twistd mixminion``: the mix server as a service.

Whatever can be fatal is checked in :func:`makeService`, synchronously and before the
fork: there ``SystemExit`` with a code is the one clean end.  Store, workers and listeners
are opened after it, in ``privilegedStartService``; nothing that comes later is fatal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.threads import deferToThread
from twisted.logger import ILogObserver, Logger
from twisted.python import usage
from twisted.python.components import Componentized
from typing_extensions import override

from mixminion import __version__
from mixminion.app import checks, configuration
from mixminion.app.configuration import FILE
from mixminion.app.environment import exits, host_name
from mixminion.app.init import ServerKeys
from mixminion.app.logs import Log
from mixminion.app.process import harden
from mixminion.config import Config, ConfigErrors
from mixminion.control.server import ControlServer
from mixminion.counters import Counters
from mixminion.crypto import kdf
from mixminion.crypto.rng import SystemRandom
from mixminion.directory.view import View
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.fetch import Fetcher
from mixminion.dirhttp.resource import resource
from mixminion.dirhttp.site import QuietSite
from mixminion.dirhttp.sources import Source, dial
from mixminion.disk import private
from mixminion.disk.lock import HomeLock
from mixminion.errors import EX_CONFIG, MixminionError, OperatorError, render
from mixminion.exits.delivery import Delivery
from mixminion.mix.config import (
    DirectorySection,
    IncomingSection,
    LogSection,
    OutgoingSection,
    ServerSection,
)
from mixminion.mix.documents import Documents
from mixminion.mix.server import MixServer, Surroundings
from mixminion.mix.workers import WorkerProcesses
from mixminion.net import listeners
from mixminion.net.links import LinkCredentials
from mixminion.sphinx import suites
from mixminion.sphinx.geometry import Geometry
from mixminion.store import Store, ThreadExecutor
from mixminion.util.hostport import HostPort

log = Logger()


class NoDocuments(OperatorError):
    """A server cannot start without a directory of its network."""

    code = "no-directory"
    sentence = (
        "There is no directory in {folder} that most of the configured authorities signed. "
        "Put the network's consensus and key documents there."
    )
    exit_code = EX_CONFIG


class Options(usage.Options):
    """The options of ``twistd mixminion``."""

    synopsis = "[--config FILE]"
    optParameters = [
        ["config", "c", FILE, "The server's configuration file."],
    ]

    @override
    def opt_version(self) -> None:
        """Print the version."""
        print(f"Mixminion {__version__}")
        sys.exit(0)


def makeService(options: Options) -> Service:
    """The server that the configuration describes, checked and ready to start."""
    from twisted.internet import reactor

    try:
        config = configuration.load(Path(options["config"]).absolute())
        problems = checks.settings(config)
        if problems:
            raise ConfigErrors(problems=problems)
        for wrong in checks.files(config):
            raise wrong
        foreground = bool(options.parent and options.parent["nodaemon"])
        return ServerService(reactor, config, foreground=foreground)
    except MixminionError as error:
        print(f"mixminion: {render(error)}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


class ServerService(Service):
    """One server, its log, its lock and its control socket.

    Making one takes the home's lock and checks everything; see :func:`makeService`.
    """

    name = "mixminion"

    def __init__(self, reactor: Any, config: Config, *, foreground: bool = True) -> None:
        self._reactor = reactor
        self._config = config
        self._log = _log(config[LogSection], foreground=foreground)
        self._lock = HomeLock(config.home)
        self._lock.acquire()
        now = reactor.seconds()
        keys = ServerKeys(config.home)
        credentials = _credentials(keys, reactor)
        credentials.check()
        directory = config[DirectorySection]
        folder = config.home / "directory"
        self._cache = DocumentCache(directory.authorities, folder, in_thread=deferToThread)
        self._cache.load(now)
        view = self._cache.latest
        if view is None:
            raise NoDocuments(folder=folder)
        self._cache.descriptor = private.read(keys.descriptor)
        listeners.trial(config[IncomingSection].listen)
        self._counters = Counters()
        self._random = SystemRandom()
        self._exits = exits(config, reactor, self._random)
        self._workers = self._processes(credentials, keys, view)
        self.server = self._compose(credentials, view)
        self._documents = Documents(
            clock=reactor,
            random=self._random,
            cache=self._cache,
            fetcher=Fetcher(reactor, dial(reactor, reactor), self._random),
            sources=[Source.parse(source) for source in directory.sources],
            adopt=self.server.adopt,
        )
        self._control = ControlServer(
            config[ServerSection].control,
            {"status": self._status, "stop": self._stop},
            reactor,
        )

    def _processes(
        self, credentials: LinkCredentials, keys: ServerKeys, view: View
    ) -> WorkerProcesses:
        sizes = view.geometry
        geometry = Geometry(suites.by_name(sizes.suite), sizes.hops, sizes.commands, sizes.packet)
        return WorkerProcesses(
            self._reactor,
            geometry,
            kdf.sha256(credentials.identity_public),
            keys.folder,
            self._config[ServerSection].workers,
            self._counters,
        )

    def _compose(self, credentials: LinkCredentials, view: View) -> MixServer:
        reactor, config, random = self._reactor, self._config, self._random
        around = Surroundings(
            clock=reactor,
            random=random,
            counters=self._counters,
            workers=self._workers,
            open_store=lambda: Store.open(
                config.home / "store",
                map_size=config[ServerSection].store_limit,
                in_thread=ThreadExecutor(reactor),
                random=random,
            ),
            listen=lambda factory: listeners.Listener(
                reactor, config[IncomingSection].listen, factory
            ),
            connect=self._endpoint,
            delivery=lambda store: Delivery(
                self._exits, store, reactor, random, self._counters, host_name(config)
            ),
            documents=QuietSite(resource(self._cache, reactor), reactor),
        )
        return MixServer(credentials, view, around, config[OutgoingSection].idle_timeout)

    def _endpoint(self, address: HostPort) -> IStreamClientEndpoint:
        timeout = self._config[OutgoingSection].connect_timeout
        return HostnameEndpoint(self._reactor, address.host, address.port, timeout=timeout)

    # -- the service ---------------------------------------------------------------------------

    @override
    def setServiceParent(self, parent: Any) -> None:
        """Give the application our log before twistd begins to write its own."""
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._log)
        Service.setServiceParent(self, parent)

    @override
    def privilegedStartService(self) -> None:
        """Open everything; twistd has become a daemon by now."""
        Service.privilegedStartService(self)
        harden()
        self._lock.note_pid()
        self.server.open()
        self._control.start()

    @override
    def startService(self) -> None:
        """Take up what is stored."""
        Service.startService(self)
        self._documents.start()
        log.info(
            "Mixminion {version}, configuration {file}.",
            version=__version__,
            file=str(self._config.filename),
        )
        _ = Deferred.fromCoroutine(self.server.start()).addErrback(
            lambda failure: log.failure("The server could not take up what is stored.", failure)
        )

    @override
    def stopService(self) -> Deferred[None]:
        """Stop in order."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        self._documents.stop()
        await self.server.stop()
        await self._control.stop()
        self._lock.release()

    # -- commands ------------------------------------------------------------------------------

    async def _status(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        section = self._config[ServerSection]
        consensus = self.server.view.consensus
        return {
            "version": __version__,
            "nickname": section.nickname,
            "pids": [os.getpid(), *self._workers.pids],
            "directory": {
                "valid-after": consensus.valid_after,
                "valid-until": consensus.valid_until,
            },
            "counters": dict(self._counters.snapshot()),
            **await self.server.status(),
        }

    def _stop(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        self._reactor.callLater(0, self._reactor.stop)
        return {"stopping": True}


def _credentials(keys: ServerKeys, reactor: Any) -> LinkCredentials:
    return LinkCredentials(
        keys.read_identity(), keys.read_signing(), private.read(keys.link_certificate), reactor
    )


def _log(section: LogSection, *, foreground: bool) -> Log:
    return Log(
        section.file,
        level=section.level,
        max_size=section.max_size,
        keep=section.keep,
        foreground=foreground,
    )
