"""``twistd mixminion``: the mix server as a service.

Whatever can be fatal is checked in :func:`makeService`, synchronously and before the
fork: there ``SystemExit`` with a code is the one clean end.  Store, workers and listeners
are opened after it, in ``privilegedStartService``.  What fails then all the same is logged
and ends the process; as long as twistd's first process waits for the daemon, it ends with 1.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.logger import Logger
from typing_extensions import override

from mixminion.app import checks, configuration, daemon, passphrase
from mixminion.app.daemon import Daemon
from mixminion.app.directories import Directories
from mixminion.app.exits import Exits
from mixminion.app.init import ServerKeys, write_descriptor
from mixminion.app.packet_keys import PacketKeyFolder
from mixminion.app.process import harden, protection
from mixminion.app.status import Health
from mixminion.app.storage import Storage, published_start
from mixminion.app.usual import FILE
from mixminion.config import Config, ConfigErrors
from mixminion.control.server import ControlServer
from mixminion.counters import Counters
from mixminion.crypto import kdf
from mixminion.crypto.rng import SystemRandom
from mixminion.directory.view import View
from mixminion.disk import private
from mixminion.disk.lock import HomeLock
from mixminion.errors import (
    render,
)
from mixminion.mix.batches import Made
from mixminion.mix.config import (
    IncomingSection,
    LogSection,
    OutgoingSection,
    ServerSection,
)
from mixminion.mix.server import MixServer, Surroundings
from mixminion.mix.workers import WorkerProcesses
from mixminion.net import listeners
from mixminion.net.links import LinkCredentials
from mixminion.net.listeners import Listener
from mixminion.store import ThreadExecutor
from mixminion.util.hostport import HostPort
from mixminion.util.times import to_text

log = Logger()


class Options(daemon.Options):
    """The options of ``twistd mixminion``."""

    optParameters = [
        ["config", "c", FILE, "The server's configuration file."],
    ]


def makeService(options: Options) -> Service:
    """The server that the configuration describes, checked and ready to start."""

    def build(reactor: Any, give_up: Callable[[int], None], foreground: bool) -> ServerService:
        config = configuration.load(Path(options["config"]).absolute())
        problems = checks.settings(config)
        if problems:
            raise ConfigErrors(problems=problems)
        for wrong in checks.files(config):
            raise wrong
        return ServerService(reactor, config, give_up=give_up, foreground=foreground)

    return daemon.make(options, build)


class ServerService(Daemon):
    """One server, its log, its lock and its control socket.

    Making one takes the home's lock and checks everything; see :func:`makeService`.
    *give_up* gets an exit code when the server cannot go on, after that has been logged.
    """

    name = "mixminion"
    kind = "server"

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
        self._running = False
        self._lock = HomeLock(config.home)
        self._lock.acquire()
        keys = ServerKeys(config.home)
        credentials = self._credentials = _credentials(keys, reactor)
        credentials.check()
        self._random = SystemRandom()
        self._directories = Directories(config, reactor, self._random, credentials.identity_public)
        view = self._directories.view
        self._directories.cache.descriptor = private.read(keys.descriptor)
        self._storage = Storage(config, self._random)
        self._storage.prepare(view.parameters, now=reactor.seconds())
        checks.store(config)
        private.make_folder(config[ServerSection].control.parent)
        listeners.trial(config[IncomingSection].listen)
        self._counters = Counters()
        self._exits = Exits(config, reactor, self._random, self._counters)
        self._workers = self._processes(credentials, keys, view)
        self.server = self._compose(credentials, view)
        self._directories.compose(self.server.adopt, self.server.publish)
        self._control = ControlServer(
            config[ServerSection].control,
            {
                "status": self._status,
                "stop": self._stop,
                "publish": self._directories.publish,
                **self._exits.commands(),
            },
            reactor,
        )
        self._begin_log()

    def _processes(
        self, credentials: LinkCredentials, keys: ServerKeys, view: View
    ) -> WorkerProcesses:
        folder = self._storage.keys.folder
        harden()
        source = self._config[ServerSection].passphrase
        secret = passphrase.given(source, "Passphrase of the packet keys: ")
        PacketKeyFolder(folder, credentials.identity_public, secret).check()
        return WorkerProcesses(
            self._reactor,
            view.packet_length,
            kdf.sha256(credentials.identity_public),
            folder,
            self._config[ServerSection].workers,
            self._counters,
            passphrase=secret,
        )

    def _compose(self, credentials: LinkCredentials, view: View) -> MixServer:
        reactor, config, random = self._reactor, self._config, self._random
        around = Surroundings(
            clock=reactor,
            random=random,
            counters=self._counters,
            workers=self._workers,
            open_store=lambda: self._storage.open(
                ThreadExecutor(reactor),
                view,
                published=published_start(private.read(ServerKeys(config.home).descriptor)),
                now=reactor.seconds(),
            ),
            listen=self._listen,
            connect=self._endpoint,
            delivery=self._exits.delivery,
            documents=self._directories.site(),
            storage_period=config[ServerSection].storage_period,
            publish=self._publish,
            max_connections=config[IncomingSection].max_connections,
            accepts=config[IncomingSection].accept,
            dials=config[OutgoingSection].dial,
        )
        return MixServer(credentials, view, around, config[OutgoingSection].idle_timeout)

    def _listen(self, factory: IProtocolFactory) -> Listener:
        self._listener = Listener(self._reactor, self._config[IncomingSection].listen, factory)
        return self._listener

    def _endpoint(self, address: HostPort) -> IStreamClientEndpoint:
        timeout = self._config[OutgoingSection].connect_timeout
        return HostnameEndpoint(self._reactor, address.host, address.port, timeout=timeout)

    def _publish(self, made: Sequence[Made]) -> None:
        """Make the descriptor anew: with these packet keys, and with the number of this start."""
        keys, now = ServerKeys(self._config.home), self._reactor.seconds()
        write_descriptor(self._config, keys, made, start=self._storage.start, now=now)
        self._directories.offer(private.read(keys.descriptor))

    # -- the service ---------------------------------------------------------------------------

    @override
    def _open(self) -> None:
        self.server.open()
        self._running = True
        self._exits.start()
        self._control.start()

    @override
    def startService(self) -> None:
        """Take up what is stored."""
        Service.startService(self)
        if self._running:
            self._directories.start()
            _ = Deferred.fromCoroutine(self.server.start()).addErrback(self._cannot)

    @override
    async def _end(self) -> None:
        self._directories.stop()
        if self._running:
            await self.server.stop()
        await self._control.stop()
        if self._running:
            await self._exits.stop()
        self._lock.release()

    # -- commands ------------------------------------------------------------------------------

    @override
    def hung_up(self) -> None:
        """SIGHUP: what ``mixminion server reload`` does."""
        try:
            self._exits.reload()
        except ConfigErrors as errors:
            log.error(
                "SIGHUP: nothing is read again, since {n} lines are wrong; `mixminion server "
                "check-config` tells them.",
                n=len(errors.problems),
            )
        else:
            log.info("SIGHUP: who gets no mail is read again; a restart reads everything.")

    async def _status(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """JSON values, the same for every version of this format."""
        mix = await self.server.status()
        consensus = self.server.view.consensus
        workers = self._config[ServerSection].workers
        pids = self._workers.pids
        health = Health(
            ready=mix["ready"],
            workers=workers,
            running=len(pids),
            signing_ends=self._credentials.not_after,
            directory_begins=consensus.valid_after,
            directory_ends=consensus.valid_until,
            interval=consensus.parameters.consensus_interval,
            used=mix["store"]["used"],
            limit=mix["store"]["limit"],
            map_limit=mix["store"]["map-limit"],
            protections=self._workers.protections,
        )
        return {
            "attention": [
                *dict.fromkeys(map(render, self.server.problems)),
                *health.attention(self._reactor.seconds()),
                *self._directories.attention(),
                *self._exits.attention(),
                *self.server.complaints(),
                *self._storage.attention(),
            ],
            "found": list(self._storage.found()),
            "nickname": self._config[ServerSection].nickname,
            **self._about(),
            "pids": [os.getpid(), *pids],
            "workers": {"configured": workers, "running": len(pids)},
            "protection": {
                "server": protection().for_status(),
                "workers": [each.for_status() for each in self._workers.protections],
            },
            "listeners": [str(address) for address in self._listener.addresses],
            "directory": self._directories.status(),
            "authorities": self._directories.publishing.status(),
            "signing-key": {"valid-until": to_text(self._credentials.not_after)},
            "key-store": self._storage.status(),
            "exits": self._exits.status(),
            "counters": dict(self._counters.snapshot()),
            **mix,
        }


def _credentials(keys: ServerKeys, reactor: Any) -> LinkCredentials:
    return LinkCredentials(
        keys.read_identity(), keys.read_signing(), private.read(keys.link_certificate), reactor
    )
