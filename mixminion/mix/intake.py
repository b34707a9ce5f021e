"""Taking packets in: on disk and fsynced first, everything else after."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from mixminion.interfaces import IIntake, Refusal
from mixminion.store import Store, StoreError


@implementer(IIntake)
class Intake:
    """Where MMTP hands frames: the store takes packets, of *packet_length* octets, in, and *add*
    goes on with them.

    Padding takes the same way through the same group commit, and is refused just the
    same, so that answers tell nothing about frames.
    """

    def __init__(self, store: Store, packet_length: int, add: Callable[[int, bytes], None]) -> None:
        self._store = store
        self._packet_length = packet_length
        self._add = add
        self._stopping = False

    def stop(self) -> None:
        """Refuse everything from now on."""
        self._stopping = True

    def receive(self, packet: bytes) -> Deferred[Refusal | None]:
        """See :class:`IIntake`."""
        if self._stopping:
            return succeed(Refusal.STOPPING)
        return self._store.take_in(packet).addCallbacks(
            self._taken, self._not_taken, callbackArgs=(packet,)
        )

    def padding(self) -> Deferred[Refusal | None]:
        """See :class:`IIntake`."""
        if self._stopping:
            return succeed(Refusal.STOPPING)
        return self._store.barrier(self._packet_length).addErrback(self._not_taken)

    def _taken(self, incoming: int, packet: bytes) -> None:
        self._add(incoming, packet)

    def _not_taken(self, failure: Failure) -> Refusal:
        """A store that is full or failing takes nothing; the sender keeps the packet."""
        failure.trap(StoreError)
        return Refusal.FULL
