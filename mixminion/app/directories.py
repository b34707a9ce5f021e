"""A server and its network's directory: what it holds, fetches, serves and publishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from mixminion import __version__
from mixminion.app import status
from mixminion.app.configuration import directory_folder
from mixminion.config import Config
from mixminion.crypto.rng import SystemRandom
from mixminion.directory.consensus import Consensus
from mixminion.directory.view import View
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.fetch import Fetcher
from mixminion.dirhttp.requester import Requester
from mixminion.dirhttp.resource import resource
from mixminion.dirhttp.site import QuietSite
from mixminion.dirhttp.sources import Source, dial
from mixminion.errors import EX_CONFIG, EX_UNAVAILABLE, OperatorError, PeerError, render
from mixminion.interfaces import Random
from mixminion.mix.config import DirectorySection
from mixminion.mix.documents import Documents
from mixminion.mix.publishing import Publishing
from mixminion.util.times import to_text

log = Logger()

AGAIN = 5.0
"""Seconds between two tries to get a first directory."""


class NoDocuments(OperatorError):
    """A server cannot start without a directory of its network."""

    code = "no-documents"
    sentence = (
        "There is no directory in {folder} that most of the configured authorities signed: fetch"
        " it with `mixminion server update --home {home}`, or put the network's consensus and key"
        " documents there."
    )
    exit_code = EX_CONFIG


class NoDirectoryYet(OperatorError):
    """Nobody had a directory, again and again."""

    code = "no-directory-yet"
    sentence = (
        "No directory could be had in {seconds:g} s: {problem} A new network's first one may take"
        " hours; --timeout says how long to wait."
    )
    exit_code = EX_UNAVAILABLE


class NobodyToPublishTo(OperatorError):
    """No authority's address is known."""

    code = "nobody-to-publish-to"
    sentence = (
        "No authority in [Directory] authorities has an address, so there is nobody to publish to:"
        " add the addresses that the network publishes."
    )
    exit_code = EX_CONFIG


class UnusableDirectory(OperatorError):
    """The directory in the home cannot be believed or read."""

    code = "unusable-directory"
    sentence = "{folder}: {problem}"
    exit_code = EX_CONFIG


async def update(reactor: Any, config: Config) -> Consensus:
    """Fetch the newest directory into the home of a server that does not run.

    :raises MixminionError: of :mod:`mixminion.directory` and :mod:`mixminion.dirhttp`, when none
        can be had.
    """
    section = config[DirectorySection]
    cache = DocumentCache(section.identities, directory_folder(config))
    cache.load(reactor.seconds())
    fetcher = Fetcher(reactor, dial(reactor, reactor), SystemRandom())
    fetched = await fetcher.fetch([Source.parse(each) for each in section.places], cache)
    await cache.accept(fetched.documents)
    return fetched.documents.signed.consensus


async def first(
    reactor: Any,
    config: Config,
    *,
    seconds: float,
    tell: Callable[[str], None],
) -> Consensus:
    """As :func:`update`, tried again for so many *seconds*; *tell* gets a sentence when it has
    to be.  A new network has its first directory when its authorities have met.

    :raises NoDirectoryYet: there was none in all that time.
    """
    deadline = reactor.seconds() + seconds
    told = False
    while True:
        try:
            return await update(reactor, config)
        except PeerError as error:
            problem = render(error)
        left = deadline - reactor.seconds()
        if left <= 0:
            raise NoDirectoryYet(seconds=seconds, problem=problem)
        if not told:
            told = True
            tell(f"{problem} Trying again, for {seconds:g} s at most.")
        await deferLater(reactor, min(AGAIN, left))


def held(config: Config, now: float) -> View:
    """The network as the directory in the home shows it, whatever its dates.

    :raises NoDocuments: there is none.
    :raises UnusableDirectory: it cannot be believed, or is of packets nobody here knows.
    """
    cache = DocumentCache(config[DirectorySection].identities, directory_folder(config))
    return _read(cache, config, now)


def _read(cache: DocumentCache, config: Config, now: float) -> View:
    folder = directory_folder(config)
    try:
        cache.read(now)
        view = cache.latest
        assert view is not None
        _ = view.geometry  # of a suite that is known here
    except FileNotFoundError:
        raise NoDocuments(folder=folder, home=config.home) from None
    except PeerError as error:
        raise UnusableDirectory(folder=folder, problem=render(error)) from error
    return view


class Directories:
    """What the server of *config*, whose identity this is, has to do with the directory.

    Making one reads what the home has; see the errors.
    """

    def __init__(self, config: Config, reactor: Any, random: Random, identity: bytes) -> None:
        """:raises NoDocuments: there is no directory in the home.
        :raises UnusableDirectory: it cannot be believed, or is of packets nobody here knows.
        """
        section, folder = config[DirectorySection], directory_folder(config)
        self._section = section
        self._reactor = reactor
        self._random = random
        self._identity = identity
        self._advised: str | None = None
        self.cache = DocumentCache(section.identities, folder, in_thread=deferToThread)
        self.view = _read(self.cache, config, reactor.seconds())

    def compose(self, adopt: Callable[[View], None], renew: Callable[[], None]) -> None:
        """*adopt* gets every newer view; *renew* has the descriptor made anew, at once or as soon
        as it can be, and :meth:`offer` called."""
        reactor, random, section = self._reactor, self._random, self._section
        reach = dial(reactor, reactor)
        self._take = adopt
        self.publishing = Publishing(
            clock=reactor,
            random=random,
            requester=Requester(reactor, reach),
            authorities=section.authorities,
            identity=self._identity,
            renew=renew,
        )
        self._documents = Documents(
            clock=reactor,
            random=random,
            cache=self.cache,
            fetcher=Fetcher(reactor, reach, random),
            sources=[Source.parse(each) for each in section.places],
            adopt=self._adopt,
            early=self.publishing.check.early,
        )

    def site(self) -> IProtocolFactory:
        """Serves what is held."""
        return QuietSite(resource(self.cache, self._reactor, deferToThread), self._reactor)

    def start(self) -> None:
        """Fetch and publish from now on."""
        self._tell()
        self._documents.start()
        self.publishing.start()

    def stop(self) -> None:
        """No more of it."""
        self._documents.stop()
        self.publishing.stop()

    def offer(self, descriptor: bytes) -> None:
        """What this server says of itself from now on, in its envelope."""
        self.cache.descriptor = descriptor
        self.publishing.offer(descriptor)

    async def publish(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Publish now; the answers, and what there is to do."""
        if not self.publishing.configured:
            raise NobodyToPublishTo
        await self.publishing.now()
        return {
            "attention": list(self.publishing.attention()),
            "authorities": self.publishing.status(),
        }

    def attention(self) -> Iterator[str]:
        """What an operator has to do or to wait for, a sentence each."""
        yield from self.publishing.attention()
        advice = self._advice()
        if advice is not None:
            yield advice
        for evidence in self.cache.evidence:
            yield (
                f"Authorities signed two directories for {to_text(evidence.valid_after)}: send the"
                " files in directory/evidence to the network's operators, and remove them then."
            )

    def status(self) -> Mapping[str, Any]:
        """JSON values."""
        consensus = self.view.consensus
        return {
            "valid-after": to_text(consensus.valid_after),
            "valid-until": to_text(consensus.valid_until),
            "servers": len(consensus.servers),
            "lists-this-server": self.view.by_identity(self._identity) is not None,
        }

    def _adopt(self, view: View) -> None:
        self.view = view
        self._tell()
        self._take(view)
        self.publishing.consensus(float(view.parameters.consensus_interval))

    def _advice(self) -> str | None:
        return status.advice(self.view.consensus.recommended, __version__)

    def _tell(self) -> None:
        """Log that another release is recommended, once for each such list."""
        advice = self._advice()
        if advice is not None and advice != self._advised:
            log.warn("{sentence}", sentence=advice)
        self._advised = advice
