"""What authorities can do wrong, one function each: it is given a world that has not started,
and the bad ones among its authorities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec
from typing_extensions import override

from mixminion.authority.ballots import Ballot, NotABallot
from mixminion.crypto import kdf
from mixminion.directory.detached import Detached
from mixminion.directory.envelope import Envelope, PayloadType, sign
from mixminion.directory.vote import Vote, VotedServer
from tests.authority.votes import signer
from tests.authority.world import Node, Tampering, World, digest_of
from tests.directory.network import NOW, identity, published

Fault = Callable[[World, Sequence[Node]], None]


class Own(Tampering):
    """Tampers with an authority's own vote and nothing else."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.world = node.world
        self.schedule = node.world.schedule()

    @override
    def sends(self, peer: bytes, name: str, octets: bytes) -> Iterable[tuple[float, bytes]]:
        return self.vote(peer, octets) if self.is_own(name, octets) else [(0.0, octets)]

    @override
    def serves(self, name: str, octets: bytes | None) -> bytes | None:
        at = self.schedule.valid_after
        own = name == f"votes/{at}/{self.node.identity.hex()}"
        return self.served(octets) if own and octets is not None else octets

    def is_own(self, name: str, octets: bytes) -> bool:
        """Whether it is the vote of this authority."""
        if name != "vote":
            return False
        try:
            at = self.schedule.valid_after
            return Ballot.read(octets, self.world.authorities, at).author == self.node.identity
        except NotABallot:
            return False

    def vote(self, peer: bytes, octets: bytes) -> Iterable[tuple[float, bytes]]:
        """What is sent instead of it."""
        return [(0.0, self.instead(octets))]

    def served(self, octets: bytes) -> bytes | None:
        """What is served instead of it."""
        return self.instead(octets)

    def instead(self, octets: bytes) -> bytes:
        """Another one, for everybody."""
        return octets


def tampered(kind: Callable[[Node], Tampering]) -> Fault:
    """Every bad authority tampers so."""

    def arrange(world: World, bad: Sequence[Node]) -> None:
        for node in bad:
            node.tampering = kind(node)

    return arrange


def signed(node: Node, vote: Vote, *others: Node) -> bytes:
    """A vote signed by its author, and others of the bad ones."""
    numbers = sorted({node.number, *(each.number for each in others)})
    signers = [signer(number) for number in numbers]
    return sign(PayloadType.VOTE, vote.encode(), signers).encode()


# -- dead ----------------------------------------------------------------------------------------


def dead(world: World, bad: Sequence[Node]) -> None:
    """They never start."""
    for node in bad:
        node.start = lambda: None  # type: ignore[method-assign]


def dies_after_voting(world: World, bad: Sequence[Node]) -> None:
    """They vote, and are gone a minute later."""
    for node in bad:
        world.at(world.schedule().begins + 60, node.kill)


def stalled(world: World, bad: Sequence[Node]) -> None:
    """They take connections and answer nothing."""
    dead(world, bad)
    for node in bad:
        world.stall(node)


# -- late ----------------------------------------------------------------------------------------


class LateVote(Own):
    """Its vote comes a round late."""

    @override
    def vote(self, peer: bytes, octets: bytes) -> Iterable[tuple[float, bytes]]:
        return [(1.05 * self.schedule.length, octets)]

    @override
    def served(self, octets: bytes) -> bytes | None:
        late = self.schedule.begins + 1.05 * self.schedule.length
        return octets if self.world.clock.seconds() > late else None


class SlowToOne(Own):
    """Its vote comes to one authority only, when the first round is almost over."""

    @override
    def vote(self, peer: bytes, octets: bytes) -> Iterable[tuple[float, bytes]]:
        to_one = peer == self.world.nodes[0].identity
        return [(0.9 * self.schedule.length, octets)] if to_one else []

    @override
    def served(self, octets: bytes) -> bytes | None:
        return None


class LateSignature(Tampering):
    """It signs, and nobody hears of it until five minutes after valid-after."""

    def __init__(self, node: Node) -> None:
        self._world = node.world

    def _late(self) -> float:
        now = self._world.clock.seconds()
        return max(0.0, self._world.schedule().valid_after + 300 - now)

    @override
    def sends(self, peer: bytes, name: str, octets: bytes) -> Iterable[tuple[float, bytes]]:
        return [(self._late() if name == "signatures" else 0.0, octets)]

    @override
    def serves(self, name: str, octets: bytes | None) -> bytes | None:
        return None if name.startswith("signatures/") and self._late() else octets


class NoSignature(Tampering):
    """It never tells anybody what it has signed."""

    def __init__(self, node: Node) -> None:
        pass

    @override
    def sends(self, peer: bytes, name: str, octets: bytes) -> Iterable[tuple[float, bytes]]:
        return [] if name == "signatures" else [(0.0, octets)]

    @override
    def serves(self, name: str, octets: bytes | None) -> bytes | None:
        return None if name.startswith("signatures/") else octets


# -- garbled -------------------------------------------------------------------------------------


class NotCanonical(Own):
    """One blank too many."""

    @override
    def instead(self, octets: bytes) -> bytes:
        return octets.replace(b",", b", ", 1)


class WrongSignature(Own):
    """It has signed something else."""

    @override
    def instead(self, octets: bytes) -> bytes:
        envelope = Envelope.decode(octets, PayloadType.VOTE, limit=2**20)
        other = sign(PayloadType.VOTE, b"{}", [signer(self.node.number)])
        return Envelope(
            payload=envelope.payload,
            payload_type=envelope.payload_type,
            signatures=other.signatures,
        ).encode()


class OtherInstant(Own):
    """It votes for tomorrow."""

    @override
    def instead(self, octets: bytes) -> bytes:
        return signed(self.node, self.node.vote(self.schedule.valid_after + 86_400))


class SignedNonsense(Own):
    """What it signs is no vote."""

    @override
    def instead(self, octets: bytes) -> bytes:
        return sign(PayloadType.VOTE, b"{}", [signer(self.node.number)]).encode()


class Junk(Own):
    """8 MiB of something, to everybody, and nothing to those who ask."""

    @override
    def instead(self, octets: bytes) -> bytes:
        return b"[" + b"[0]," * (2**21 - 2) + b"0]"

    @override
    def served(self, octets: bytes) -> bytes | None:
        return None


def _listing(node: Node, digest: bytes) -> None:
    """Have *node* list a server of that descriptor too."""
    more = VotedServer(
        identity=identity("mallory"), descriptor=digest, usable_from=NOW, flags=("usable",)
    )

    def make_vote(at: int, previous: Any) -> Vote:
        servers = sorted((*node.servers(), more), key=lambda each: each.identity)
        return node.vote(at, previous, servers=tuple(servers))

    node.make_vote = make_vote


def lists_what_nobody_has(world: World, bad: Sequence[Node]) -> None:
    """They vote for descriptors that do not exist."""
    for node in bad:
        _listing(node, kdf.sha256(b"nothing"))


def lists_what_is_not_valid(world: World, bad: Sequence[Node]) -> None:
    """They vote for descriptors that they serve, and that have expired."""
    octets = published("mallory", 9, valid_until=NOW + 60)
    for node in bad:
        node.register.put(octets)
        _listing(node, digest_of(octets))


def countersigns_what_nobody_has(world: World, bad: Sequence[Node]) -> None:
    """They vote for what does not exist, and sign for each other that they have it."""
    lists_what_nobody_has(world, bad)
    for node in bad:
        node.tampering = Countersigned(node, bad)


class Countersigned(Own):
    """Signed by all the bad ones from the start."""

    def __init__(self, node: Node, bad: Sequence[Node]) -> None:
        super().__init__(node)
        self.bad = bad

    @override
    def instead(self, octets: bytes) -> bytes:
        vote, _ = Vote.open(octets)
        return signed(self.node, vote, *self.bad)


# -- equivocating --------------------------------------------------------------------------------


class TwoHalves(Own):
    """One vote for some, another for the others."""

    @override
    def vote(self, peer: bytes, octets: bytes) -> Iterable[tuple[float, bytes]]:
        other = signed(self.node, self.node.vote(self.schedule.valid_after, contact="another"))
        return [(0.0, octets if self.world.authorities.index(peer) % 2 else other)]

    @override
    def served(self, octets: bytes) -> bytes | None:
        return None


def second_vote(round: int) -> Fault:
    """One vote for all; another one, signed by all the bad ones, is handed to a single authority
    just before that round's end."""

    def arrange(world: World, bad: Sequence[Node]) -> None:
        schedule = world.schedule()

        def release(node: Node) -> None:
            other = node.vote(schedule.valid_after, contact="another")
            world.nodes[0].taken(signed(node, other, *bad))

        for node in bad:
            world.at(schedule.ends(round) - 1, partial(release, node))

    return arrange


class SignsAnother(Tampering):
    """It says that it has signed a consensus of its own."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def _other(self, octets: bytes) -> bytes:
        detached = Detached.read(octets)
        (mine,) = sign(PayloadType.CONSENSUS, b"{}", [signer(self._node.number)]).signatures
        return msgspec.structs.replace(
            detached, digest=kdf.sha256(b"{}"), signatures=(mine,)
        ).encode()

    @override
    def sends(self, peer: bytes, name: str, octets: bytes) -> Iterable[tuple[float, bytes]]:
        return [(0.0, self._other(octets) if name == "signatures" else octets)]

    @override
    def serves(self, name: str, octets: bytes | None) -> bytes | None:
        ours = name.startswith("signatures/") and octets is not None
        return self._other(octets) if ours and octets is not None else octets


# -- clocks --------------------------------------------------------------------------------------


def clock(*seconds: float) -> Fault:
    """Their clocks are that much ahead, one after the other."""

    def arrange(world: World, bad: Sequence[Node]) -> None:
        for number, node in enumerate(bad):
            node.ahead = seconds[number % len(seconds)]

    return arrange


# -- restarted -----------------------------------------------------------------------------------


def restarted(moment: Callable[[World], float], seconds: float = 20.0) -> Fault:
    """They are killed then, and come back so much later."""

    def arrange(world: World, bad: Sequence[Node]) -> None:
        for node in bad:
            node.restart(moment(world), seconds)

    return arrange


def restarted_when_written(kind: str, seconds: float = 20.0) -> Fault:
    """They are killed when a file of that kind has been written, before anything is sent."""

    def arrange(world: World, bad: Sequence[Node]) -> None:
        for node in bad:
            node.written = partial(_killed, world, node, kind, seconds)

    return arrange


def _killed(world: World, node: Node, kind: str, seconds: float, name: str) -> None:
    if f"-{kind}" in name and node.lives == 1:
        node.kill()
        world.at(world.clock.seconds() + seconds, node.start)


# -- flooded -------------------------------------------------------------------------------------


def flooded(world: World, bad: Sequence[Node]) -> None:
    """They send the others a thousand pieces of junk in a second of every round."""
    schedule = world.schedule()
    junk = [kdf.sha256(b"%d" % number) * 8 for number in range(500)]
    unsigned = Envelope(payload=b"{}", payload_type=str(PayloadType.VOTE), signatures=()).encode()

    def flood() -> None:
        old = signed(bad[0], bad[0].vote(schedule.valid_after - 3600))
        for node in world.nodes:
            if node not in bad and node.rounds is not None:
                for each in (*junk, *[unsigned] * 400, *[old] * 100):
                    node.taken(each)

    for round in range(1, schedule.rounds + 1):
        world.at(schedule.ends(round) - schedule.length / 3, flood)
