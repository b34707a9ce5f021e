"""The network as one mix sees it while consensuses come and go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mixminion.directory.consensus import Server
from mixminion.directory.view import View
from mixminion.mix.batches import Made
from mixminion.mix.periods import KeyPeriods
from mixminion.mixing.strategies import STRATEGIES
from mixminion.sphinx import suites
from mixminion.util.times import to_text

RESTART = "restart it (`mixminion server stop`, then `mixminion server start`)"
NEWER = "install a newer version of Mixminion"


class Network:
    """The newest consensus, and what is still needed of those before it.

    Packets are made with any consensus that is valid, and are on their way for a while: so
    servers that left the directory stay next hops, and delays below a cap that was lowered are
    borne, until the last packet that may have been made so has passed.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self.periods = KeyPeriods.of(view)
        self._strategy = view.parameters.strategy  # those of the start: see complaints()
        self._packet_length = view.packet_length
        self._former: dict[bytes, tuple[Server, float]] = {}
        self._caps: dict[int, float] = {}

    def adopt(self, view: View, now: float) -> None:
        """A newer consensus."""
        before, self.view = self.view, view
        self.periods = self.periods.followed_by(KeyPeriods.of(view))
        until = before.consensus.valid_until + before.parameters.key_grace
        left = {
            server.node_id: (server, until)
            for server in before.servers
            if view.by_identity(server.identity) is None
        }
        self._former = {
            node_id: (server, until)
            for node_id, (server, until) in (self._former | left).items()
            if now < until and view.by_node(node_id) is None
        }

        self._caps[before.parameters.delay_cap_ms] = until
        self._caps = {cap: until for cap, until in self._caps.items() if now < until}

    def delay_cap_ms(self, now: float) -> int:
        """The longest delay that packets may ask for."""
        former = (cap for cap, until in self._caps.items() if now < until)
        return max(self.view.parameters.delay_cap_ms, *former, 0)

    def next_hop(self, node_id: bytes, now: float) -> Server | None:
        """The server that packets call *node_id*, if any may be sent to it."""
        server = self.view.by_node(node_id)
        if server is None and node_id in self._former:
            former, until = self._former[node_id]
            return former if now < until else None
        return server

    @property
    def outdated(self) -> Sequence[str]:
        """The parameters that are others now and that only a start takes up."""
        return [
            name
            for name, ours, now in (
                ("strategy", self._strategy, self.view.parameters.strategy),
                ("packet-length", self._packet_length, self.view.packet_length),
            )
            if ours != now
        ]

    def complaints(self, public: Sequence[Made], now: float) -> Iterator[str]:
        """What the operator has to do for the network's sake, a sentence each; *public* are this
        server's keys."""
        wanted = self.view.parameters.strategy
        if wanted not in STRATEGIES:
            yield f"This network's mixes hold packets by the strategy {wanted} now: {NEWER}."
        elif wanted != self._strategy:
            yield (
                f"This network's mixes hold packets by the strategy {wanted} now, and this server "
                f"by {self._strategy}: {RESTART}."
            )
        if self.view.packet_length != self._packet_length:
            yield (
                f"This network's packets have {self.view.packet_length} octets now, and this "
                f"server takes those of {self._packet_length}: {RESTART}."
            )
        yield from self._suites(public, now)

    def _suites(self, public: Sequence[Made], now: float) -> Iterator[str]:
        ours = {made.period: made.suite for made in public}
        for period in self.view.consensus.key_periods:
            suite = period.geometry.suite
            if now >= period.ends:
                continue
            if suite not in suites.NAMES:
                begins = to_text(period.begins)
                yield f"From {begins} on this network's packets have the suite {suite}: {NEWER}."
            elif ours.get(period.number, suite) != suite:
                yield (
                    f"The directory changed the suite of key period {period.number} to {suite} "
                    f"after it had begun with {ours[period.number]}: senders cannot use this "
                    f"server before {to_text(period.ends)}; tell the network's authorities."
                )
