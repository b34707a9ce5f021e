"""An authority's vote, from what it knows at that moment.

Making it twice for one instant gives the same random commitment, because what it reveals is
drawn from a seed; whoever sends votes sees to it that only the first one leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from mixminion.authority.admission import admitted
from mixminion.authority.config import Settings
from mixminion.authority.figures import Figures, usable
from mixminion.authority.periods import periods
from mixminion.authority.records import Record
from mixminion.authority.register import Register
from mixminion.crypto import kdf
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.consensus import USABLE, Server
from mixminion.directory.parameters import Parameters
from mixminion.directory.tally import METHODS
from mixminion.directory.vote import MOST_SERVERS, Recommended, Vote, VotedPeriod, VotedServer
from mixminion.interfaces import Clock

FLAGS = (USABLE,)
WAIT = 3
"""Consensus intervals between a server's first listing and its first use: then every valid
document has it.  A network's first servers need not wait."""
_REVEAL = b"mixminion shared random reveal"


class Voting:
    """Makes votes.  *settings* and *figures* are asked each time; *seed* is secret, 32 octets."""

    def __init__(
        self,
        *,
        clock: Clock,
        identity: bytes,
        register: Register,
        settings: Callable[[], Settings],
        figures: Callable[[], Figures],
        seed: bytes,
    ) -> None:
        self._clock = clock
        self._identity = identity
        self._register = register
        self._settings = settings
        self._figures = figures
        self._seed = seed

    def make_vote(self, valid_after: int, previous: SignedConsensus | None) -> Vote:
        """The vote for the consensus of *valid_after*; *previous* is the last one that is held."""
        settings = self._settings()
        network = settings.network
        listed = periods(network, valid_after, None if previous is None else previous.consensus)
        return Vote(
            authority=self._identity,
            nickname=settings.authority.nickname,
            contact=settings.authority.contact or "",
            published=int(self._clock.seconds()),
            methods=METHODS,
            valid_after=valid_after,
            test_network=network.test_network,
            previous=None if previous is None else previous.digest,
            parameters=_fitting(network.parameters(), listed),
            key_periods=listed,
            flags_known=FLAGS,
            recommended=_recommended(settings),
            commitment=kdf.sha256(self._secret(valid_after)),
            reveal=self._reveal(previous),
            servers=tuple(self._servers(settings, valid_after, previous)),
        )

    def _servers(
        self, settings: Settings, valid_after: int, previous: SignedConsensus | None
    ) -> Iterator[VotedServer]:
        before: Mapping[bytes, Server] = (
            {} if previous is None else {each.identity: each for each in previous.consensus.servers}
        )
        wait = WAIT * settings.network.parameters().consensus_interval
        # Where nobody was listed there is nobody to tell the first ones from.
        begins = valid_after + wait if before else valid_after
        figures = self._figures().fresh(self._clock.seconds(), settings.figures.expiry)
        listed = sorted(
            admitted(self._register.records.values(), settings, valid_after),
            key=lambda record: record.identity,
        )
        for record in listed[:MOST_SERVERS]:
            last = before.get(record.identity)
            reliability = figures.reliability(record.identity)
            was_usable = last is not None and USABLE in last.flags
            yield VotedServer(
                identity=record.identity,
                descriptor=_digest(record),
                usable_from=begins if last is None else last.usable_from,
                flags=FLAGS if _sound(record) and usable(reliability, was_usable) else (),
                reliability=reliability,
            )

    # -- the shared random value -----------------------------------------------------------------

    def _secret(self, valid_after: int) -> bytes:
        return kdf.hmac_sha256(self._seed, _REVEAL + valid_after.to_bytes(8, "big"))

    def _reveal(self, previous: SignedConsensus | None) -> bytes | None:
        """What is hidden by our commitment in *previous*, if it has one that we can open."""
        shared = None if previous is None else previous.consensus.shared_random
        if previous is None or shared is None:
            return None
        secret = self._secret(previous.consensus.valid_after)
        ours = kdf.sha256(secret)
        found = any(
            (each.authority, each.commitment) == (self._identity, ours)
            for each in shared.commitments
        )
        return secret if found else None


def _digest(record: Record) -> bytes:
    assert record.described is not None  # nobody else is admitted
    return record.described.digest


def _sound(record: Record) -> bool:
    """Whether nothing it says of itself keeps paths away."""
    assert record.described is not None
    said = record.described.said
    return bool(said.addresses) and not said.insecure


def _fitting(parameters: Parameters, listed: Sequence[VotedPeriod]) -> Parameters:
    """Paths become longer when all listed periods' headers have room for them."""
    deepest = min(period.geometry.hops for period in listed)
    return msgspec.structs.replace(parameters, hops=min(parameters.hops, deepest))


def _recommended(settings: Settings) -> Recommended | None:
    clients = settings.network.recommended_clients
    servers = settings.network.recommended_servers
    if not clients and not servers:
        return None
    return Recommended(clients=clients, servers=servers)
