"""What a program sees of the network: one consensus, its key documents, and look-ups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy

from mixminion.directory.consensus import USABLE, Consensus, KeyPeriod, Server
from mixminion.directory.descriptor import Descriptor, PacketKey
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
        self._latest: dict[int, int] = {}  # usable-from, of all that are usable in a period
        self._imported: dict[bytes, dict[int, bytes]] = {}  # packet keys by identity and period
        self._ambiguous: set[str] = set()
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

    def with_imported(self, descriptors: Iterable[tuple[Descriptor, bytes]], now: float) -> View:
        """The same network and servers that are known from descriptors (and their digests) alone:
        found by their names, never usable unasked.  Those whose name or identity is listed are the
        directory's, and one whose time is over has no keys."""
        view = copy(self)
        view._by_name, view._by_identity = dict(self._by_name), dict(self._by_identity)
        view._imported, view._ambiguous = {}, set()
        for descriptor, digest in descriptors:
            name, identity = descriptor.nickname.lower(), descriptor.identity
            if name in view._by_name and view._by_name[name].identity != identity:
                view._ambiguous.add(name)
            if name in view._by_name or identity in view._by_identity:
                continue
            server = Server.listed(descriptor, digest, usable_from=0, flags=())
            view._by_name[name] = view._by_identity[identity] = server
            current = descriptor.valid_after <= now < descriptor.valid_until
            view._imported[identity] = {
                key.period: key.key for key in descriptor.packet_keys if current and self._fits(key)
            }
        return view

    def imported(self, server: Server) -> bool:
        """Whether *server* is known from a descriptor alone."""
        return server.identity in self._imported

    def ambiguous(self, nickname: str) -> bool:
        """Whether the directory has one server of that nickname, and a descriptor another."""
        return nickname.lower() in self._ambiguous

    def _fits(self, key: PacketKey) -> bool:
        period = self._periods.get(key.period)
        return period is not None and period.geometry.suite == key.suite

    def has_key(self, identity: bytes, period: int) -> bool:
        """Whether that server has a packet key for *period*.

        :raises KeysMissing: the key document is not at hand.
        """
        return identity in self._of(period) or period in self._imported.get(identity, ())

    def packet_key(self, identity: bytes, period: int) -> bytes:
        """The public packet key of the server with that raw identity key.

        :raises KeysMissing: the key document is not at hand.
        :raises NoPacketKey: the server has none for *period*.
        """
        imported = self._imported.get(identity, {})
        try:
            return imported[period] if identity in self._imported else self._of(period)[identity]
        except KeyError:
            server = self.by_identity(identity)
            name = server.nickname if server is not None else identity.hex()[:8]
            raise NoPacketKey(server=name, period=period) from None

    def usable(self, now: float, period: int) -> Sequence[Server]:
        """The servers that paths which leave at *now* in *period* may use unasked.

        :raises KeysMissing: the key document is not at hand.
        """
        return self._old_enough(self._all_usable(period), now, period)

    def is_usable(self, server: Server, now: float, period: int) -> bool:
        """Whether *server*, which is listed, is one of :meth:`usable`.

        :raises KeysMissing: the key document is not at hand.
        """
        return server.usable_from <= now and self._sound(server, period)

    def usable_exits(self, name: str, now: float, period: int) -> Sequence[Server]:
        """Those of :meth:`usable` that have an exit of that delivery name.

        :raises KeysMissing: the key document is not at hand.
        """
        if (period, name) not in self._exits:
            usable = self._all_usable(period)
            self._exits[period, name] = [each for each in usable if each.exit(name)]
        return self._old_enough(self._exits[period, name], now, period)

    def _all_usable(self, period: int) -> list[Server]:
        if period not in self._usable:
            found = [each for each in self.servers if self._sound(each, period)]
            self._latest[period] = max((each.usable_from for each in found), default=0)
            self._usable[period] = found
        return self._usable[period]

    def _old_enough(self, servers: list[Server], now: float, period: int) -> Sequence[Server]:
        """Those of *servers* that may be used by *now*; as a rule all of them."""
        if self._latest[period] <= now:
            return servers
        return [server for server in servers if server.usable_from <= now]

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
