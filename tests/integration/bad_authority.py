"""A directory authority that does what it should not: the real daemon, and what it sends, serves
and believes of the time is tampered with.

``python -m tests.integration.bad_authority AHEAD HOME [HOME ...]`` runs the one in the first home,
whose clock is AHEAD seconds ahead, in the foreground.  The others are its accomplices', whose
keys it has.  What it does is the word in the file ``fault`` of its home, read again each time:

- nothing, or no file: what it should;
- ``halves``: it sends one vote to some, another one to the others, and serves neither;
- ``second-vote``: it sends one vote to all, and another one, signed by the accomplices too, to a
  single authority just before the last but one round ends;
- ``garbled``: its vote has a blank too many;
- ``forges``: it says that it signed another consensus, and serves one that the accomplices signed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import Request
from typing_extensions import override

from mixminion.app.authority_keys import AuthorityKeys
from mixminion.app.usual import AUTHORITY_FILE
from mixminion.authority import server
from mixminion.authority.peers import Answer, NoAnswer, Peers, Refused
from mixminion.authority.rounds import Rounds
from mixminion.authority.schedule import Schedule
from mixminion.crypto import kdf
from mixminion.directory import envelope
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.consensus import Consensus
from mixminion.directory.detached import Detached
from mixminion.directory.envelope import PayloadType, Signer
from mixminion.directory.errors import BadDocument
from mixminion.directory.vote import Recommended, Vote
from mixminion.dirhttp.resource import PREFIX

FAULT = "fault"
SECONDS = 2.0


class Plot:
    """What the authority in the first of *homes* does, and with whom."""

    def __init__(self, homes: Sequence[Path]) -> None:
        self._file = homes[0] / FAULT
        self.signers: list[Signer] = [
            AuthorityKeys(home).read_signer(None, time.time())[0] for home in homes
        ]

    @property
    def word(self) -> str:
        """Which fault it is now."""
        return self._file.read_text() if self._file.exists() else ""

    def vote(self, vote: Vote, signers: Sequence[Signer]) -> bytes:
        """Another vote of the same author for the same instant."""
        other = msgspec.structs.replace(vote, contact="another")
        return envelope.sign(PayloadType.VOTE, other.encode(), signers).encode()

    def consensus(self, octets: bytes) -> bytes:
        """Another consensus for the same instant, which the accomplices signed."""
        found, _ = Consensus.open(octets)
        evil = Recommended(clients=("6.6.6",))
        return msgspec.structs.replace(found, recommended=evil).sign(self.signers)

    def signature(self, octets: bytes) -> bytes:
        """A signature on another consensus, as it is sent to others."""
        payload = b"{}"
        signed = envelope.sign(PayloadType.CONSENSUS, payload, self.signers[:1])
        detached = msgspec.structs.replace(
            Detached.read(octets), digest=kdf.sha256(payload), signatures=signed.signatures
        )
        return detached.encode()


class BadPeers:
    """The other authorities as *inner* reaches them; *rounds* are whose."""

    def __init__(self, plot: Plot, rounds: BadRounds, inner: Peers, others: list[bytes]) -> None:
        self._plot = plot
        self._rounds = rounds
        self._inner = inner
        self._others = others

    async def get(self, peer: bytes, name: str, limit: int, seconds: float) -> Answer:
        return await self._inner.get(peer, name, limit, seconds)

    async def post(self, peer: bytes, name: str, octets: bytes, seconds: float) -> Answer:
        word = self._plot.word
        if name == "vote" and (vote := self._rounds.own(octets)) is not None:
            if word == "halves" and self._others.index(peer) % 2:
                octets = self._plot.vote(vote, self._plot.signers[:1])
            elif word == "garbled":
                octets = octets.replace(b",", b", ", 1)
        elif name == "signatures" and word == "forges":
            octets = self._plot.signature(octets)
        return await self._inner.post(peer, name, octets, seconds)


class BadRounds(Rounds):
    """The daemon's rounds, tampered with."""

    def __init__(self, plot: Plot, *, peers: Peers, **around: Any) -> None:
        self._plot = plot
        self._make_vote = around.pop("make_vote")
        self._clock = around["clock"]
        self._identity: bytes = around["identity"]
        everybody: list[bytes] = list(around["authorities"])
        others = [each for each in everybody if each != self._identity]
        self._first, self._count = others[0], len(everybody)
        self._bad = BadPeers(plot, self, peers, others)
        super().__init__(peers=self._bad, make_vote=self._voted, **around)

    def own(self, octets: bytes) -> Vote | None:
        """The vote in that envelope, if it is ours."""
        try:
            vote, _ = Vote.open(octets)
        except BadDocument:
            return None
        return vote if vote.authority == self._identity else None

    def _voted(self, valid_after: int, previous: SignedConsensus | None) -> Vote:
        vote: Vote = self._make_vote(valid_after, previous)
        if self._plot.word == "second-vote":
            interval = vote.parameters.consensus_interval
            schedule = Schedule(valid_after, interval, self._count)
            moment = schedule.ends(schedule.rounds - 1) - schedule.length / 4
            self._clock.callLater(moment - self._clock.seconds(), self._release, vote)
        return vote

    def _release(self, vote: Vote) -> None:
        async def send() -> None:
            with suppress(NoAnswer, Refused):
                octets = self._plot.vote(vote, self._plot.signers)
                await self._bad.post(self._first, "vote", octets, SECONDS)

        _ = Deferred.fromCoroutine(send())

    @override
    def vote(self, valid_after: int, identity: bytes) -> bytes | None:
        octets = super().vote(valid_after, identity)
        word = self._plot.word
        if identity != self._identity or octets is None:
            return octets
        if word == "garbled":
            return octets.replace(b",", b", ", 1)
        return None if word == "halves" else octets

    @override
    def signatures(self, valid_after: int) -> bytes | None:
        octets = super().signatures(valid_after)
        forged = octets is not None and self._plot.word == "forges"
        return self._plot.signature(octets) if forged and octets is not None else octets


class BadDocuments(Resource):
    """What is served of *cache*, tampered with."""

    isLeaf = True

    def __init__(self, plot: Plot, inner: Any, cache: Any) -> None:
        super().__init__()
        self._plot = plot
        self._inner = inner
        self._cache = cache

    @override
    def render(self, request: Request) -> bytes | int:
        held: SignedConsensus | None = self._cache.signed
        if request.path == PREFIX + b"consensus" and self._plot.word == "forges" and held:
            return self._plot.consensus(held.octets)
        answer: bytes | int = self._inner.render(request)
        return answer


def main() -> None:
    """The command."""
    from twisted.internet import reactor
    from twisted.scripts import twistd

    ahead, homes = float(sys.argv[1]), [Path(each) for each in sys.argv[2:]]
    plot = Plot(homes)
    clock: Any = reactor
    clock.seconds = lambda: time.time() + ahead
    module: Any = server
    documents = module.resource
    module.Rounds = partial(BadRounds, plot)
    module.resource = lambda cache, clock: BadDocuments(plot, documents(cache, clock), cache)
    config = homes[0] / AUTHORITY_FILE
    arguments = ["--nodaemon", "--pidfile=", "--rundir", str(homes[0])]
    sys.argv[1:] = [*arguments, "mixminion-authority", "--config", str(config)]
    twistd.run()


if __name__ == "__main__":
    main()
