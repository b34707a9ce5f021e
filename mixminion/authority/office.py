"""What one authority works with, the same for every instant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mixminion.authority.archive import Archive
from mixminion.authority.conduct import Conduct
from mixminion.authority.contacts import Contacts
from mixminion.authority.holdings import Holdings
from mixminion.authority.tasks import Tasks
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.envelope import Signer
from mixminion.directory.vote import Vote
from mixminion.dirhttp.cache import InThread
from mixminion.interfaces import Clock, Random

MakeVote = Callable[[int, SignedConsensus | None], Vote]
"""Makes our vote for the consensus of a valid-after; the second argument is the last one held."""


@dataclass(frozen=True, slots=True)
class Office:
    """An authority of *identity*, one of *authorities*, that signs with *me*."""

    clock: Clock
    random: Random
    me: Signer
    identity: bytes
    authorities: tuple[bytes, ...]
    contacts: Contacts
    archive: Archive
    holdings: Holdings
    conduct: Conduct
    tasks: Tasks
    make_vote: MakeVote
    in_thread: InThread  #: where a tally may take its time

    @property
    def now(self) -> float:
        """Unix seconds."""
        return self.clock.seconds()
