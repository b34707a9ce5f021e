"""The sections of an authority's configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

from mixminion.config import BadValue, Config, log_section, option, section, values
from mixminion.config.secret import SecretSource
from mixminion.config.values import Value
from mixminion.directory.bootstrap import MOST_AUTHORITIES, Authority, authority
from mixminion.directory.parameters import SUITES, PacketGeometry, Parameters
from mixminion.dirhttp.errors import BadSource
from mixminion.dirhttp.sources import Source
from mixminion.mixing import strategies
from mixminion.util.hostport import HostPort

DAY = 86_400.0
MOST_RELEASES = 32
COMMANDS = {"xwing": 82, "x25519": 304}
"""Octets of a slot's commands, by suite, in the geometries that authorities vote for."""

PROFILES = {
    "default": Parameters.default(),
    "local-demo": msgspec.structs.replace(
        Parameters.local_demo(), consensus_interval=10, consensus_fresh=10, consensus_valid=30
    ),
}
"""Parameters to begin with; a hand-signed network on one machine lasts a week, a voted one
shows what happens."""


def _source(text: str) -> Source:
    try:
        return Source.parse(text)
    except BadSource:
        raise ValueError from None


source: Value[Source] = Value("an address such as http://192.0.2.1:8080/", _source)


def _seconds(text: str) -> int:
    seconds = float(text) if text.isascii() and text.isdecimal() else values.duration.read(text)
    if seconds % 1:
        raise ValueError
    return int(seconds)


seconds: Value[int] = Value("whole seconds, or a time such as 4 minutes or 7 days", _seconds)


def _change(text: str) -> tuple[str, int]:
    suite, _, period = text.partition(" ")
    number = values.integer(0).read(period.strip())
    if suite not in SUITES:
        raise BadValue(f"expected {suite_change.expected}; known suites: {', '.join(SUITES)}")
    return suite, number


suite_change: Value[tuple[str, int]] = Value(
    "a suite and the number of a key period, such as x25519 2990",
    _change,
    lambda change: f"{change[0]} {change[1]}",
)


@section("Authority")
class AuthoritySection:
    """Who this authority is, and where it is found."""

    config_version: int = option(
        values.integer(1, 1), default=1, doc="The version of this file's format."
    )
    home: Path = option(
        values.home,
        default=".",
        doc="""The folder that holds everything of this authority: keys, register, archive, log,
        control socket.  Every other relative path is relative to it.""",
    )
    nickname: str = option(values.nickname, doc="The authority's name, for people.")
    contact: str | None = option(
        values.text_up_to(256), default=None, doc="How to reach the operator; published."
    )
    listen: tuple[HostPort, ...] = option(
        values.list_of(values.listener),
        default=("0.0.0.0:48080", "[::]:48080"),
        doc="Addresses to listen on, for HTTP.  What is served is signed and needs no TLS.",
    )
    url: Source = option(
        source,
        doc="""Where servers, clients and the other authorities reach this one; published in the
        line that others join with.""",
    )
    max_connections: int = option(
        values.integer(8, 65536), default=1024, doc="Connections served at one time."
    )
    connections_per_address: int = option(
        values.integer(1, 65536),
        default=64,
        doc="Connections served at one time for one IPv4 address or one /64 of IPv6.",
    )
    uploads_per_hour: int = option(
        values.integer(1, 100_000),
        default=60,
        doc="Descriptors taken in one hour from one IPv4 address or one /64 of IPv6.",
    )
    passphrase: SecretSource | None = option(
        values.secret,
        default=None,
        doc="""Where the passphrase of the signing key comes from when the authority starts: file
        PATH, a private file whose first line it is; descriptor N, a file that whoever starts the
        authority has opened under that number; or prompt, to be asked.  Without this key the
        signing key has none.""",
    )
    control: Path = option(
        values.path,
        default="control",
        doc="The socket over which commands speak with the running authority.",
    )


@section("Directory")
class DirectorySection:
    """Who makes the directory; the same lines as in the configurations of servers and clients."""

    authorities: tuple[Authority, ...] = option(
        values.list_of(authority),
        default=(),
        doc="""The network's directory authorities, with the addresses where they are reached.
        This one may be among them, and counts in any case: a consensus needs the signatures of
        more than half of all.""",
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """Authorities that stand there twice, or cannot be reached."""
        identities = Counter(each.identity for each in self.authorities)
        urls = Counter(each.url for each in self.authorities if each.url)
        for each in self.authorities:
            if not each.url:
                yield "authorities", f"expected an address behind {each.identity.hex()[:8]}..."
        for identity, count in identities.items():
            if count > 1:
                yield "authorities", f"{identity.hex()[:8]}... stands there twice"
        for url, count in urls.items():
            if count > 1:
                yield "authorities", f"two authorities have the address {url}"
        if len(identities) > MOST_AUTHORITIES:
            yield "authorities", f"expected at most {MOST_AUTHORITIES}"


def _count(doc: str) -> int | None:
    return option(values.integer(0), default=None, doc=doc)


def _time(doc: str) -> int | None:
    return option(seconds, default=None, doc=doc)


@section("Network")
class NetworkSection:
    """What this authority votes for: the network's parameters and key periods.  What a majority
    of the authorities has here holds for everybody; of numbers the median.  A parameter that is
    not given is the profile's."""

    test_network: bool = option(
        values.boolean,
        default="no",
        doc="Allow addresses that only one machine or site can reach.",
    )
    profile: str = option(
        values.choice(*PROFILES),
        default="default",
        doc="""The parameters of a real network, or of one on one machine: delays of half a second,
        a consensus every ten.""",
    )
    suite: str = option(values.choice(*SUITES), default="xwing", doc="The packet suite.")
    suite_from: tuple[str, int] | None = option(
        suite_change,
        default=None,
        doc="""Another suite, from the beginning of that key period on.  Most authorities have to
        have this before that period is first listed: more than two key periods before.""",
    )
    recommended_clients: tuple[str, ...] = option(
        values.list_of(values.text_up_to(256)),
        default=(),
        doc="Releases that clients should be of; others are warned.  At most 32.",
    )
    recommended_servers: tuple[str, ...] = option(
        values.list_of(values.text_up_to(256)),
        default=(),
        doc="Releases that servers should be of; others are warned.",
    )
    mean_delay_ms: int | None = _count("Mean of the delays that senders draw, milliseconds.")
    delay_cap_ms: int | None = _count("Where those are truncated, milliseconds.")
    tick_ms: int | None = _count("Packets due in one tick leave shuffled; milliseconds.")
    strategy: str | None = option(
        values.choice(*strategies.STRATEGIES), default=None, doc="How mixes hold packets."
    )
    pool_interval: int | None = _time("Between two rounds of a pool.")
    pool_minimum: int | None = _count("Packets that always stay in a pool.")
    pool_percent: int | None = _count("Of a pool, which leave at a round.")
    hops: int | None = _count("The usual length of a path, the exit counted.")
    consensus_interval: int | None = _time("Between two consensuses.")
    consensus_fresh: int | None = _time("From valid-after to fresh-until.")
    consensus_valid: int | None = _time("From valid-after to valid-until.")
    key_period: int | None = _time("How long one packet key of a server is used.")
    peer_queue_expiry: int | None = _time("How long a mix keeps a packet for a dead neighbour.")
    mmtp_window: int | None = _count("Unanswered frames of a link.")
    fragments: int | None = _count("Of one message, at most.")
    mix_loops_per_hour: int | None = _count("Loops of each mix in an hour.")

    def problems(self) -> Iterator[tuple[str, str]]:
        """Values that no network can have, and times that do not go together."""
        wrong = False
        for name, value in self._given().items():
            try:
                msgspec.convert({kebab(name): value}, Parameters)
            except msgspec.ValidationError as error:
                wrong = True
                yield kebab(name), _expectation(error)
        if len(self.recommended_clients) > MOST_RELEASES:
            yield "recommended-clients", f"expected at most {MOST_RELEASES}"
        if len(self.recommended_servers) > MOST_RELEASES:
            yield "recommended-servers", f"expected at most {MOST_RELEASES}"
        if wrong:
            return
        found = self.parameters()
        if found.consensus_fresh < found.consensus_interval:
            yield "consensus-fresh", "expected at least consensus-interval"
        if found.consensus_valid < found.consensus_fresh:
            yield "consensus-valid", "expected at least consensus-fresh"
        if found.delay_cap_ms < found.mean_delay_ms:
            yield "delay-cap-ms", "expected at least mean-delay-ms"
        try:
            self.geometry(0)
            self.geometry(self.suite_from[1] if self.suite_from else 0)
        except ValueError:
            yield "hops", "expected fewer: no packet has room for so long a path"

    def _given(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in Parameters.__struct_fields__}
        return {name: value for name, value in found.items() if value is not None}

    def parameters(self) -> Parameters:
        """The parameters to vote for."""
        return msgspec.structs.replace(PROFILES[self.profile], **self._given())

    def geometry(self, period: int) -> PacketGeometry:
        """The geometry to vote for in that key period."""
        suite = self.suite
        if self.suite_from is not None and period >= self.suite_from[1]:
            suite = self.suite_from[0]
        hops = max(4, self.parameters().hops)
        return PacketGeometry.make(suite, hops=hops, commands=COMMANDS[suite])


def kebab(name: str) -> str:
    """A member's name as documents and configurations have it."""
    return name.replace("_", "-")


def _expectation(error: msgspec.ValidationError) -> str:
    text = str(error).partition(" - at ")[0].replace("`", "")
    return text[:1].lower() + text[1:]


@section("Admission")
class AdmissionSection:
    """Which servers this authority lists."""

    policy: str = option(
        values.choice("manual", "open"),
        default="manual",
        doc="""Whether a new server waits for `mixminion authority approve`, or only for the
        waiting time.""",
    )
    waiting_time: float = option(
        values.within(values.duration, 0.0, 366 * DAY),
        default="3 days",
        doc="With policy = open: how long after its first descriptor a server is listed.",
    )
    exit_waiting_time: float = option(
        values.within(values.duration, 0.0, 3660 * DAY),
        default="30 days",
        doc="""How long after it was first listed a server may take the role of an exit, unless it
        was approved with --exit.""",
    )
    servers_per_operator: int = option(
        values.integer(1, 100_000),
        default=8,
        doc="How many servers with one family, or with one contact, are taken.",
    )
    servers_per_network: int = option(
        values.integer(1, 100_000),
        default=4,
        doc="How many servers are taken in one /16 of IPv4, or one /32 of IPv6.",
    )
    most_waiting: int = option(
        values.integer(1, 100_000),
        default=1000,
        doc="How many new servers may wait at one time.",
    )
    forget_after: float = option(
        values.within(values.duration, 0.0, 3660 * DAY),
        default="90 days",
        doc="""A server that has had no valid descriptor for so long is forgotten, and its name is
        free; one that was never listed after a tenth of that.  Bans stay.""",
    )
    dial_every: float = option(
        values.within(values.duration, 1.0, 7 * DAY),
        default="1 hour",
        doc="How often the published addresses of every server are dialled.",
    )
    dial_families: tuple[str, ...] = option(
        values.list_of(values.choice("ipv4", "ipv6")),
        default=("ipv4", "ipv6"),
        doc="Which addresses this authority can dial itself; of others it has no opinion.",
    )


@section("Figures")
class FiguresSection:
    """Where the pingers' figures come from."""

    files: tuple[Path, ...] = option(
        values.list_of(values.path),
        default=(),
        doc="""JSON files, one for each pinger's operator:
        {"operator": "x", "figures": {IDENTITY: 0 to 1000}}.  They are read again when they have
        changed.""",
    )
    expiry: float = option(
        values.within(values.duration, 60.0, 366 * DAY),
        default="2 days",
        doc="A file that has not changed for so long does not count.",
    )


@section("Log")
class LogSection(log_section.LogSection):
    """What is written about the authority's work: never a client's address."""

    file: Path = option(values.path, default="log/authority.log", doc="The log file.")


SECTIONS = (
    AuthoritySection,
    DirectorySection,
    NetworkSection,
    AdmissionSection,
    FiguresSection,
    LogSection,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """A configuration that holds, as the parts of an authority want it."""

    authority: AuthoritySection
    network: NetworkSection
    admission: AdmissionSection
    figures: FiguresSection
    directory: DirectorySection

    @classmethod
    def of(cls, config: Config) -> Self:
        """Those of a configuration file."""
        return cls(
            config[AuthoritySection],
            config[NetworkSection],
            config[AdmissionSection],
            config[FiguresSection],
            config[DirectorySection],
        )

    def authorities(self, me: bytes) -> tuple[bytes, ...]:
        """The identities of all, *me* among them."""
        return tuple({me: None} | {each.identity: None for each in self.directory.authorities})

    def sources(self, me: bytes) -> Mapping[bytes, Source]:
        """Where the others are reached."""
        return {
            each.identity: Source.parse(each.url)
            for each in self.directory.authorities
            if each.identity != me
        }

    def name_of(self, identity: bytes) -> str:
        """What people call an authority."""
        for each in self.directory.authorities:
            if each.identity == identity and each.nickname:
                return each.nickname
        return identity.hex()[:8]
