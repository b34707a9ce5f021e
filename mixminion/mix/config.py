"""The sections of a mix server's configuration, except its exits'."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mixminion.config import log_section, option, section, values
from mixminion.config.secret import SecretSource
from mixminion.config.values import Value
from mixminion.directory.bootstrap import Authority, authority
from mixminion.directory.parts import MOST_RULES, Rule
from mixminion.util.hostport import HostPort

rule: Value[Rule] = Value("allow or deny and a network, such as deny 192.0.2.0/24", Rule.parse)


@section("Server")
class ServerSection:
    """Who this server is and what it may use of its machine."""

    config_version: int = option(
        values.integer(1, 1), default=1, doc="The version of this file's format."
    )
    home: Path = option(
        values.home,
        default=".",
        doc="""The folder that holds everything of this server: keys, store, logs, control
        socket.  Every other relative path is relative to it.""",
    )
    nickname: str = option(
        values.nickname, doc="The server's name, unique in its network; senders write it in paths."
    )
    contact: str | None = option(
        values.text_up_to(256), default=None, doc="How to reach the operator; published."
    )
    family: str | None = option(
        values.nickname,
        default=None,
        doc="""A name shared by all servers under the same control; published, so that no
        sender's path uses two of them.""",
    )
    workers: int = option(
        values.integer(1, 64),
        default=1,
        doc="""How many processes unwrap packets.  More than the cores that are idle
        brings nothing.""",
    )
    store_limit: int = option(
        values.within(values.size, 16 * 2**20),
        default="1 GiB",
        doc="""The disk the store of packets and messages may take.  It is laid out once; new
        packets are refused when 85 % is used, so that accepted ones drain.""",
    )
    passphrase: SecretSource | None = option(
        values.secret,
        default=None,
        doc="""Where the passphrase of the packet keys comes from when the server starts:
        file PATH, a private file whose first line it is; descriptor N, a file that whoever
        starts the server has opened under that number; or prompt, to be asked.  Without this
        key packet keys have none.""",
    )
    key_store: str = option(
        values.choice("disk", "ram"),
        default="disk",
        doc="""Where packet keys and storage keys are.  disk survives everything; whoever takes the
        disk apart may find erased keys again.  ram is a folder in memory: erased keys are
        gone, and with a loss of power all keys and all that was stored.""",
    )
    key_store_path: Path | None = option(
        values.path,
        default=None,
        doc="""The key store's folder.  For ram it has to be on a tmpfs or ramfs, such as
        /run/mixminion or /dev/shm/mixminion; for disk it is keys in the home, if not named.""",
    )
    storage_period: float | None = option(
        values.within(values.duration, 3600.0, 366 * 86_400.0),
        default=None,
        doc="""How long one storage key is used: a deleted record can be read until its end by who
        has the keys.  If not given, as long as the network's key period.""",
    )
    control: Path = option(
        values.path,
        default="control",
        doc="The socket over which commands speak with the running server.",
    )
    test_network: bool = option(
        values.boolean,
        default="no",
        doc="""Allow what only a network on one machine needs: published addresses that
        nobody else can reach.""",
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """Memory that is not named."""
        if self.key_store == "ram" and self.key_store_path is None:
            yield "key-store-path", "expected a folder on a tmpfs, for key-store = ram"


@section("Incoming")
class IncomingSection:
    """What the server listens on, and what it publishes for others to dial."""

    listen: tuple[HostPort, ...] = option(
        values.list_of(values.listener),
        default=("0.0.0.0:48099", "[::]:48099"),
        doc="Addresses to listen on, for packets and, on the same port, for the directory.",
    )
    addresses: tuple[HostPort, ...] = option(
        values.list_of(values.host_port),
        doc="Addresses to publish: where other servers and senders reach this one.",
    )
    accept: tuple[Rule, ...] = option(
        values.list_of(rule),
        default=(),
        doc="""From whom connections are taken: rules such as allow 192.0.2.0/24 or deny
        2001:db8::/32, of which the first about an address decides; other addresses are allowed.
        Published, so that no path asks for a link that is refused; authorities have to reach the
        server as well, or it is not listed.""",
    )
    max_connections: int = option(
        values.integer(8, 65536), default=4096, doc="Connections served at one time."
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """More rules than can be published."""
        if len(self.accept) > MOST_RULES:
            yield "accept", f"expected at most {MOST_RULES}"


@section("Outgoing")
class OutgoingSection:
    """How the server reaches others."""

    dial: tuple[Rule, ...] = option(
        values.list_of(rule),
        default=(),
        doc="""To which servers links are made: rules as in [Incoming] accept, about the addresses
        that others publish.  Published, so that no path asks for another link.""",
    )
    connect_timeout: float = option(
        values.within(values.duration, 1.0, 600.0),
        default="30 s",
        doc="How long one attempt to connect may take, TLS included.",
    )
    idle_timeout: float = option(
        values.within(values.duration, 1.0, 3600.0),
        default="5 min",
        doc="A connection over which nothing was sent for so long is closed.",
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """More rules than can be published."""
        if len(self.dial) > MOST_RULES:
            yield "dial", f"expected at most {MOST_RULES}"


@section("Directory")
class DirectorySection:
    """Whom the server believes about the network, and where it asks."""

    authorities: tuple[Authority, ...] = option(
        values.list_of(authority),
        default=(),
        doc="""The network's directory authorities: for each its nickname (or none), its Ed25519
        public key, and the address where it takes this server's descriptor and serves the
        directory.  A consensus needs the signatures of more than half of them.  One without an
        address is believed, and nothing is published to it.""",
    )
    sources: tuple[str, ...] = option(
        values.list_of(values.url),
        default=(),
        doc="""Where to fetch directory documents, besides the authorities and the network's own
        servers.""",
    )

    @property
    def identities(self) -> tuple[bytes, ...]:
        """The authorities' raw identity keys."""
        return tuple(each.identity for each in self.authorities)

    @property
    def places(self) -> tuple[str, ...]:
        """Everywhere outside the network's own servers where the directory is served."""
        urls = (each.url for each in self.authorities if each.url)
        return tuple(dict.fromkeys((*urls, *self.sources)))

    def problems(self) -> Iterator[tuple[str, str]]:
        """Sources without a key to check what they say, and authorities named twice."""
        if self.sources and not self.authorities:
            yield "authorities", "expected the keys of those who sign what the sources serve"
        if len(set(self.identities)) != len(self.authorities):
            yield "authorities", "a key stands in the list twice"


@section("Log")
class LogSection(log_section.LogSection):
    """What is written about the server's work: never addresses, keys or contents."""

    file: Path = option(values.path, default="log/mixminion.log", doc="The log file.")


SECTIONS = (ServerSection, IncomingSection, OutgoingSection, DirectorySection, LogSection)
