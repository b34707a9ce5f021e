"""What a program sees of the network: one consensus, its key documents, and look-ups."""

from __future__ import annotations

from collections.abc import Iterable

from mixminion.directory.consensus import USABLE, Consensus, KeyPeriod, Server
from mixminion.directory.errors import (
    BadDocument,
    KeysMissing,
    NoKeyPeriod,
    NoPacketKey,
    UnknownSuite,
)
from mixminion.directory.keydoc import NAME, KeyDocument
from mixminion.directory.parameters import SUITES, PacketGeometry, Parameters
from mixminion.directory.parts import is_public
from mixminion.util import times


class View:
    """A consensus and those of its key documents that are at hand.

    Both were verified before: the consensus by :class:`~mixminion.directory.checks.\
SignedConsensus`, key documents by the digests it lists.
    """

    def __init__(self, consensus: Consensus, keys: Iterable[KeyDocument]) -> None:
        """:raises BadDocument: a key document is not of a listed period, or of another suite."""
        self.consensus = consensus
        self._periods = {period.number: period for period in consensus.key_periods}
        self._by_identity = {server.identity: server for server in consensus.servers}
        self._by_node = {server.node_id: server for server in consensus.servers}
        self._by_name = {server.nickname.lower(): server for server in consensus.servers}
        self._keys: dict[int, dict[bytes, bytes]] = {}
        # By key period, and by that and an exit's name, whatever usable-from says.
        self._usable: dict[int, list[Server]] = {}
        self._exits: dict[tuple[int, str], list[Server]] = {}
        for document in keys:
            period = self._periods.get(document.period)
            if period is None or period.geometry.suite != document.suite:
                raise BadDocument(document=NAME, problem="not of a key period of the consensus")
            self._keys[document.period] = {each.identity: each.key for each in document}

    @property
    def parameters(self) -> Parameters:
        """The network's parameters."""
        return self.consensus.parameters

    @property
    def servers(self) -> tuple[Server, ...]:
        """All listed servers, ascending by identity."""
        return self.consensus.servers

    @property
    def test_network(self) -> bool:
        """Whether addresses that only one machine or site can reach are allowed."""
        return self.consensus.test_network

    @property
    def packet_length(self) -> int:
        """Octets of a packet, the same in every key period."""
        return self.consensus.key_periods[0].geometry.packet

    @property
    def geometry(self) -> PacketGeometry:
        """The packet geometry of the first listed key period.

        :raises UnknownSuite: this software cannot make such packets.
        """
        return self.geometry_of(self.consensus.key_periods[0].number)

    def geometry_of(self, period: int) -> PacketGeometry:
        """The packet geometry of a listed key period.

        :raises UnknownSuite: this software cannot make such packets.
        """
        geometry = self._periods[period].geometry
        if geometry.suite not in SUITES:
            raise UnknownSuite(suite=geometry.suite)
        return geometry

    @property
    def periods(self) -> tuple[int, ...]:
        """The listed key periods' numbers, the first current at valid-after."""
        return tuple(self._periods)

    def period(self, number: int) -> KeyPeriod | None:
        """A listed key period."""
        return self._periods.get(number)

    def current_period(self, now: float) -> int:
        """The key period of packets that leave at *now*.

        :raises NoKeyPeriod: none is listed for that moment.
        """
        for period in self.consensus.key_periods:
            if period.begins <= now < period.ends:
                return period.number
        raise NoKeyPeriod(time=times.to_text(now))

    def by_identity(self, identity: bytes) -> Server | None:
        """The server with that raw identity key."""
        return self._by_identity.get(identity)

    def by_node(self, node_id: bytes) -> Server | None:
        """The server that packets call *node_id*."""
        return self._by_node.get(node_id)

    def by_name(self, nickname: str) -> Server | None:
        """The server of that nickname, in any case."""
        return self._by_name.get(nickname.lower())

    def has_key(self, identity: bytes, period: int) -> bool:
        """Whether that server has a packet key for *period*.

        :raises KeysMissing: the key document is not at hand.
        """
        return identity in self._of(period)

    def packet_key(self, identity: bytes, period: int) -> bytes:
        """The public packet key of the server with that raw identity key.

        :raises KeysMissing: the key document is not at hand.
        :raises NoPacketKey: the server has none for *period*.
        """
        try:
            return self._of(period)[identity]
        except KeyError:
            server = self.by_identity(identity)
            name = server.nickname if server is not None else identity.hex()[:8]
            raise NoPacketKey(server=name, period=period) from None

    def usable(self, now: float, period: int) -> list[Server]:
        """The servers that paths which leave at *now* in *period* may use unasked.

        :raises KeysMissing: the key document is not at hand.
        """
        return [server for server in self._all_usable(period) if server.usable_from <= now]

    def usable_exits(self, name: str, now: float, period: int) -> list[Server]:
        """Those of :meth:`usable` that have an exit of that delivery name.

        :raises KeysMissing: the key document is not at hand.
        """
        if (period, name) not in self._exits:
            usable = self._all_usable(period)
            self._exits[period, name] = [each for each in usable if each.exit(name)]
        return [server for server in self._exits[period, name] if server.usable_from <= now]

    def _all_usable(self, period: int) -> list[Server]:
        if period not in self._usable:
            self._usable[period] = [each for each in self.servers if self._sound(each, period)]
        return self._usable[period]

    def _sound(self, server: Server, period: int) -> bool:
        """Whether *server* is usable in *period* once it is old enough."""
        return (
            USABLE in server.flags
            and not server.insecure
            and bool(server.addresses)
            and (self.test_network or all(map(is_public, server.addresses)))
            and self.has_key(server.identity, period)
        )

    def _of(self, period: int) -> dict[bytes, bytes]:
        if period not in self._keys:
            raise KeysMissing(period=period)
        return self._keys[period]
