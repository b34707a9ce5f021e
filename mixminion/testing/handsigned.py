"""A directory by hand: what servers publish is signed now and then, and served."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from mixminion.directory.checks import SignedConsensus
from mixminion.directory.descriptor import Descriptor
from mixminion.directory.view import View
from mixminion.dirhttp.cache import DocumentCache, Documents
from mixminion.dirhttp.resource import resource
from mixminion.dirhttp.site import QuietSite
from mixminion.testing.signings import Signings

T = TypeVar("T")


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing; its failure is raised."""
    results: list[T | Failure] = []
    _ = Deferred.fromCoroutine(coroutine).addBoth(results.append)
    [result] = results
    if isinstance(result, Failure):
        result.raiseException()
    return result


class HandSigned:
    """In the place of a network's authorities: takes descriptors, and serves what is signed.

    ``site`` is to be listened with where *sources*, URLs, say.
    """

    def __init__(self, clock: IReactorTime, signings: Signings, sources: Sequence[str]) -> None:
        self.signings = signings
        self.sources = tuple(sources)
        self._clock = clock
        self._cache = DocumentCache(signings.authorities)
        self._descriptors: dict[bytes, bytes] = {}
        self._removed: set[bytes] = set()
        self._timer: IDelayedCall | None = None
        self.site = QuietSite(resource(self._cache, clock), clock)

    @property
    def authorities(self) -> Sequence[bytes]:
        """Whom servers and clients believe."""
        return self.signings.authorities

    @property
    def lines(self) -> Sequence[str]:
        """What they are told of them."""
        return [identity.hex() for identity in self.authorities]

    @property
    def documents(self) -> Documents:
        """The newest consensus and its key documents."""
        return self._documents

    @property
    def view(self) -> View:
        """What they show."""
        view = self._cache.latest
        assert view is not None
        return view

    def publish(self, descriptor: bytes) -> None:
        """A server's newest descriptor: it is listed from the next consensus on."""
        identity = Descriptor.verify(descriptor, self._clock.seconds()).identity
        if identity not in self._removed:
            self._descriptors[identity] = descriptor

    def remove(self, identity: bytes) -> None:
        """List a server no longer, whatever it publishes."""
        self._removed.add(identity)
        self._descriptors.pop(identity, None)

    def sign(self) -> View:
        """The consensus of now."""
        now = self._clock.seconds()
        signed = self.signings.sign(list(self._descriptors.values()), now)
        consensus = SignedConsensus.verify(signed.consensus, self.authorities, now)
        self._documents = Documents(consensus, signed.keys)
        at_once(self._cache.accept(self._documents))
        return self.view

    def start(self) -> None:
        """Sign at each multiple of the consensus interval from now on."""
        interval = self.signings.parameters.consensus_interval
        self._timer = self._clock.callLater(interval - self._clock.seconds() % interval, self._tick)

    def stop(self) -> None:
        """Sign no more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _tick(self) -> None:
        self.sign()
        self.start()
