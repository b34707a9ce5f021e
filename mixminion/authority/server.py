"""One authority: what it is made of, how it starts, stops, and is told something new."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IProtocolFactory
from twisted.logger import Logger

from mixminion.authority import figures
from mixminion.authority.admission import forgettable
from mixminion.authority.archive import Archive
from mixminion.authority.config import Settings
from mixminion.authority.dialback import Connect, DialBack, Resolve
from mixminion.authority.figures import Figures
from mixminion.authority.folder import Folder
from mixminion.authority.intake import Intake
from mixminion.authority.peers import HttpPeers
from mixminion.authority.receipts import Receipts
from mixminion.authority.register import Register
from mixminion.authority.rounds import Rounds
from mixminion.authority.site import Admitting, Allowances, AuthoritySite
from mixminion.authority.voting import Voting
from mixminion.authority.web import AuthorityResource
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.consensus import Consensus
from mixminion.directory.envelope import Signer
from mixminion.dirhttp.cache import DocumentCache, Documents, InThread
from mixminion.dirhttp.resource import resource
from mixminion.dirhttp.sources import Dial
from mixminion.disk.database import Executor
from mixminion.errors import MixminionError, render
from mixminion.interfaces import Clock, Random
from mixminion.net.admission import Admission

log = Logger()

REGISTER = "register.sqlite"
TIDY = 86_400.0
"""Seconds between two clearings of the register."""
REFRESH = 300.0
"""Seconds between two looks at the figures, at most."""


class Listening(Protocol):
    """What listens: :class:`mixminion.net.listeners.Listener`, or a memory wire."""

    def startService(self) -> None:
        """Listen."""

    def stopService(self) -> Awaitable[Any]:
        """Accept no more."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that an authority takes from outside itself."""

    clock: Clock
    random: Random
    home: Path  #: register and documents are in it
    archive: Folder
    executor: Executor  #: of the register's file
    in_thread: InThread  #: where other files are read and written
    listen: Callable[[IProtocolFactory], Listening]
    dial: Dial  #: other authorities
    connect: Connect  #: servers, back
    resolve: Resolve


@dataclass(frozen=True, slots=True)
class Told:
    """What an operator can change while the authority runs, checked to be good."""

    settings: Settings
    signer: Signer
    signing_ends: int  #: Unix seconds
    figures: Figures = field(default_factory=Figures)


class AuthorityServer:
    """The authority of *identity*, whose random values come from *seed* (32 octets)."""

    def __init__(self, identity: bytes, seed: bytes, told: Told, around: Surroundings) -> None:
        self.identity = identity
        self.told = told
        self._around = around
        self._turn = DeferredLock()
        self._shelf = DeferredLock()
        self._timers: dict[str, IDelayedCall] = {}
        self._listening: Listening | None = None
        self.figures = told.figures
        self.complaint: str | None = None  #: about the figures
        self.rounds: Rounds | None = None
        self.ready = False
        clock = around.clock
        self.register = Register(around.home / REGISTER, around.executor, clock)
        self.cache = DocumentCache(
            self.settings.authorities(identity),
            around.home / "directory",
            in_thread=around.in_thread,
        )
        self._archive = Archive(around.archive)
        self.dialback = DialBack(
            clock=clock,
            random=around.random,
            register=self.register,
            settings=lambda: self.settings,
            connect=around.connect,
            resolve=around.resolve,
        )
        self.intake = Intake(
            clock,
            self.register,
            lambda: self.settings,
            taken=self.dialback.soon,
            latest=self._latest,
        )
        self.voting = Voting(
            clock=clock,
            identity=identity,
            register=self.register,
            settings=lambda: self.settings,
            figures=lambda: self.figures,
            seed=seed,
        )
        self._site = AuthoritySite(self._tree(), clock, self._allowances())

    @property
    def settings(self) -> Settings:
        """What it goes by now."""
        return self.told.settings

    def _latest(self) -> Consensus | None:
        return None if self.cache.signed is None else self.cache.signed.consensus

    def lists(self, identity: bytes) -> bool:
        """Whether the newest consensus has that server."""
        view = self.cache.latest
        return view is not None and view.by_identity(identity) is not None

    def _tree(self) -> AuthorityResource:
        clock = self._around.clock
        return AuthorityResource(
            clock=clock,
            documents=resource(self.cache, clock),
            intake=self.intake,
            receipts=Receipts(
                clock=clock,
                identity=self.identity,
                signer=lambda: self.told.signer,
                intake=self.intake,
                listed=self.lists,
            ),
            descriptors=self._descriptor,
            exchange=lambda: self.rounds,
        )

    def _descriptor(self, digest: bytes) -> bytes | None:
        """That of the exchange first: an envelope that we countersigned a vote for."""
        found = None if self.rounds is None else self.rounds.descriptor(digest)
        return self.register.get(digest) if found is None else found

    def _allowances(self) -> Allowances:
        return Allowances.of(
            self._around.clock,
            self.settings.authority.uploads_per_hour,
            len(self.settings.authorities(self.identity)),
            self.settings.network.parameters().consensus_interval,
        )

    # -- starting and stopping -------------------------------------------------------------------

    async def start(self) -> None:
        """Read the register, listen, dial, vote."""
        await self.register.load()
        self.cache.load(self._around.clock.seconds())
        limits = self.settings.authority
        admission = Admission(limits.connections_per_address, limits.max_connections)
        self._listening = self._around.listen(Admitting(self._site, admission))
        self._listening.startService()
        self.dialback.start()
        self._begin_rounds()
        self._wind("tidy", TIDY, self._tidy)
        self._wind("figures", self._pause(), self._refresh)
        self.ready = True

    async def stop(self) -> None:
        """End in order: no new connections, no dialling, no votes, and the register last."""
        self.ready = False
        for timer in self._timers.values():
            if timer.active():
                timer.cancel()
        if self._listening is not None:
            await self._listening.stopService()
            await self.dialback.stop()
        await self._turn.run(self._end_rounds)
        await self._shelf.run(lambda: None)
        await self.register.close()

    def _begin_rounds(self) -> None:
        settings, around = self.settings, self._around
        peers = HttpPeers(around.clock, around.dial, settings.sources(self.identity))
        self.rounds = Rounds(
            clock=around.clock,
            random=around.random,
            me=self.told.signer,
            identity=self.identity,
            authorities=settings.authorities(self.identity),
            peers=peers,
            archive=self._archive,
            make_vote=self.voting.make_vote,
            descriptors=self.register,
            publish=self._publish,
            parameters=settings.network.parameters(),
            in_thread=around.in_thread,
        )
        self.rounds.start()

    async def _end_rounds(self) -> None:
        rounds, self.rounds = self.rounds, None
        if rounds is not None:
            await rounds.stop()

    # -- being told something new ----------------------------------------------------------------

    async def tell(self, told: Told) -> None:
        """Go by this from now on.  An exchange that is under way goes on as after a restart where
        authorities or keys are others."""
        await self._turn.acquire()
        try:
            before, self.told = self.told, told
            self.figures, self.complaint = told.figures, None
            self.cache.authorities = self.settings.authorities(self.identity)
            self._site.allowances = self._allowances()
            others = before.settings.directory != told.settings.directory
            if others or before.signer.certificate != told.signer.certificate:
                await self._end_rounds()
                if self.ready:
                    self._begin_rounds()
        finally:
            self._turn.release()

    # -- what happens by itself ------------------------------------------------------------------

    def _publish(self, signed: SignedConsensus, keys: Mapping[bytes, bytes]) -> None:
        """A consensus, or more signatures on it."""
        identities = [server.identity for server in signed.consensus.servers]
        self.register.listed(identities, signed.consensus.valid_after)
        _ = Deferred.fromCoroutine(self._keep(Documents(signed, keys)))

    async def _keep(self, documents: Documents) -> None:
        await self._shelf.acquire()
        try:
            await self.cache.accept(documents)
        except MixminionError as error:
            log.error("A consensus is not served. {sentence}", sentence=render(error))
        except Exception:
            log.failure("A consensus could not be kept.")
        finally:
            self._shelf.release()

    def _wind(self, name: str, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        async def turn() -> None:
            try:
                await work()
            except Exception:
                log.failure("Something that is done now and then went wrong.")
            if self.ready:
                self._wind(name, seconds, work)

        def begin() -> None:
            _ = Deferred.fromCoroutine(turn())

        self._timers[name] = self._around.clock.callLater(seconds, begin)

    async def _tidy(self) -> None:
        self.register.tidy()
        now, limits = self._around.clock.seconds(), self.settings.admission
        gone = [r.identity for r in self.register.records.values() if forgettable(r, limits, now)]
        if gone:
            await self.register.forget(gone)
            log.info("Forgot {count} servers that were not heard of for long.", count=len(gone))

    def _pause(self) -> float:
        return min(REFRESH, self.settings.network.parameters().consensus_interval / 2)

    async def _refresh(self) -> None:
        """Read the figures again; those that are broken leave the old ones."""
        told, found = self.told, []
        try:
            await self._around.in_thread(
                lambda: found.append(figures.gather(told.settings.figures.files))
            )
        except MixminionError as error:
            if self.complaint is None:
                log.warn("Figures stay as they were. {sentence}", sentence=render(error))
            self.complaint = render(error)
        else:
            if told is self.told:
                self.figures, self.complaint = found[0], None
