"""A whole network in one process that keeps itself: authorities vote, mixes publish to them, and
all fetch what came of it.

Everything is real but what surrounds it: configurations, registers, admission, dialling back,
votes, signatures, HTTP and TLS, stores, packets and clients, on a virtual clock and over memory
wires.

::

    network = VotedNetwork(folder, 12, network="consensus-interval = 6 hours")
    network.start()
    client = network.client()
    client.keep_updated()
    network.result(client.send("collect:bob", b"text"))
    network.configure(network="suite-from = x25519 2990")
    network.clock.advance(604_800)
    network.stop()
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from typing_extensions import override

from mixminion.authority.records import Decision
from mixminion.authority.server import AuthorityServer
from mixminion.directory.view import View
from mixminion.testing.virtual import Directory, VirtualNetwork
from mixminion.testing.virtual_authorities import VirtualAuthorities
from mixminion.testing.virtualmix import VirtualMix

T = TypeVar("T")


class Voted:
    """What the *voters* agree on, as a :class:`~mixminion.testing.virtual.Directory`."""

    def __init__(self, voters: VirtualAuthorities) -> None:
        self._voters = voters

    @property
    def authorities(self) -> Sequence[bytes]:
        """See :class:`Directory`."""
        return self._voters.identities

    @property
    def lines(self) -> Sequence[str]:
        """See :class:`Directory`."""
        return [each.line for each in self._voters.all]

    @property
    def sources(self) -> Sequence[str]:
        """Nobody but they."""
        return ()

    @property
    def view(self) -> View:
        """Of the newest that one of them serves."""
        views = [each.cache.latest for each in self._voters.running]
        held = [view for view in views if view is not None]
        return max(held, key=lambda view: view.consensus.valid_after)

    def publish(self, descriptor: bytes) -> None:
        """Mixes do that themselves."""

    def remove(self, identity: bytes) -> None:
        """The operators of those that run turn it away."""
        for each in self._voters.running:
            self._voters.decide(each, identity.hex(), Decision.REJECTED)


class VotedNetwork(VirtualNetwork):
    """*authorities* authorities and *count* mixes.

    *network* and *admission* are lines of the authorities' ``[Network]`` and ``[Admission]``;
    unless told otherwise they let everybody in at once.
    """

    voters: VirtualAuthorities

    def __init__(
        self,
        folder: Path,
        count: int = 12,
        *,
        authorities: int = 5,
        network: str = "",
        admission: str = "",
        seed: bytes = b"network",
    ) -> None:
        self._count, self._texts = authorities, {"network": network, "admission": admission}
        super().__init__(folder, count, seed=seed)

    @override
    def make_directory(self) -> Directory:
        """The authorities; what their configurations say holds for the mixes' first keys."""
        self.voters = VirtualAuthorities(
            self.clock, self.wire, self.folder, self._count, **self._texts
        )
        [first, *_] = self.voters.all
        self.parameters = self.voters.settings(first).network.parameters()
        self.schedule = lambda n: self.voters.settings(first).network.geometry(n)
        return Voted(self.voters)

    @override
    def begin_directory(self) -> None:
        """There is none before :meth:`start`."""

    @override
    def start(self) -> None:
        """Start the authorities, every mix once there is a directory, and wait until all mixes
        list each other; those who have to wait for approval get it."""
        self.voters.start()
        patience = 3.0 * self.parameters.consensus_interval
        self.clock.run_until(lambda: all(each.cache.signed for each in self.servers), patience)
        super().start()
        self.clock.run_until(lambda: all(map(self._known, self.mixes)), patience)
        for mix in self.mixes:
            self.approve(mix)
        self.clock.run_until(lambda: all(map(self._complete, self.mixes)), patience)

    @override
    def stop(self) -> None:
        """Stop what runs, the authorities last."""
        super().stop()
        self.voters.stop()

    @property
    def servers(self) -> list[AuthorityServer]:
        """The authorities that run."""
        return self.voters.running

    def approve(self, mix: VirtualMix, authorities: int | None = None) -> None:
        """Have that many authorities, or all, let a mix in that has published there."""
        for each in self.servers[:authorities]:
            self.voters.decide(each, mix.identity.hex(), Decision.APPROVED)

    def configure(self, **texts: str) -> None:
        """Change lines of all authorities' configurations, and have those that run read them."""
        self.voters.configure(**texts)

    def result(self, work: Coroutine[Any, Any, T]) -> T:
        """What comes of something that takes its time."""
        return self.clock.result_of(Deferred.fromCoroutine(work))

    def _known(self, mix: VirtualMix) -> bool:
        """Whether every authority has its descriptor."""
        return all(mix.identity in each.register.records for each in self.servers)

    def _complete(self, mix: VirtualMix) -> bool:
        """Whether it has a directory of all mixes."""
        view = mix.cache.latest
        return view is not None and len(view.servers) == len(self.mixes)
