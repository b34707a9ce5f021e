"""HTTP proxies: which one a source is reached through."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Self
from urllib.parse import unquote_to_bytes

from mixminion.dirhttp.errors import BadProxy
from mixminion.util.hostport import HostPort


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy, and who it takes us for."""

    place: HostPort
    credentials: bytes | None = field(default=None, repr=False)  #: ``user:password``

    @classmethod
    def parse(cls, text: str, where: str) -> Self:
        """From ``http://HOST:PORT/`` or ``http://USER:PASSWORD@HOST:PORT/``; without a scheme it
        is this one, without a port it is 80.  *where* says where the text stands.

        :raises BadProxy: it is something else, a SOCKS proxy for example.
        """
        scheme, found, rest = text.partition("://")
        if not found:
            scheme, rest = "http", text
        login, at, host = rest.removesuffix("/").rpartition("@")
        try:
            place = HostPort.parse(host, default_port=80)
        except ValueError:
            raise BadProxy(where=where) from None
        if scheme.lower() != "http" or place.port == 0:
            raise BadProxy(where=where)
        user, _, password = login.partition(":")
        credentials = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
        return cls(place, credentials if at else None)

    @property
    def fields(self) -> dict[bytes, bytes]:
        """Header fields for the proxy."""
        if self.credentials is None:
            return {}
        return {b"Proxy-Authorization": b"Basic " + base64.b64encode(self.credentials)}


@dataclass(frozen=True, slots=True)
class _Exemption:
    """Places that are reached without a proxy: a domain and what is below it (empty: all
    places), or a network; on all ports or on one."""

    place: str | IPv4Network | IPv6Network
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """From an item of ``no_proxy``: ``example.org``, ``.example.org``, ``192.0.2.0/24``,
        ``host:8080``, ``*``."""
        if text == "*":
            return cls("")
        try:
            return cls(ip_network(text.strip("[]"), strict=False))
        except ValueError:
            host, colon, port = text.rpartition(":")
        if not colon or not port.isdigit():
            return cls(text.lower().strip("."))
        try:
            return cls(ip_network(host.strip("[]")), int(port))
        except ValueError:
            return cls(host.lower().strip("."), int(port))

    def covers(self, place: HostPort) -> bool:
        """Whether *place* is one of these."""
        if self.port not in (None, place.port):
            return False
        if isinstance(self.place, str):
            return not self.place or f".{place.host}".endswith(f".{self.place}")
        return place.address is not None and place.address in self.place


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which proxy leads where."""

    http: Proxy | None = None
    https: Proxy | None = None
    exempt: tuple[_Exemption, ...] = ()

    @classmethod
    def every(cls, proxy: Proxy) -> Self:
        """This one for all sources."""
        return cls(proxy, proxy)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """As other programs read ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``;
        the last three may be in capitals, too.

        :raises BadProxy: one of them names no HTTP proxy: going without it would show addresses
            to whom they should not be shown.
        """
        http = _named(environment, "http_proxy") or _named(environment, "all_proxy", "ALL_PROXY")
        https = _named(environment, "https_proxy", "HTTPS_PROXY")
        https = https or _named(environment, "all_proxy", "ALL_PROXY")
        without = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        items = without.replace(",", " ").split()
        return cls(http, https, tuple(map(_Exemption.parse, items)))

    def of(self, place: HostPort, *, tls: bool) -> Proxy | None:
        """The proxy for a source at *place*; None for none."""
        if any(each.covers(place) for each in self.exempt):
            return None
        return self.https if tls else self.http


NO_PROXIES = Proxies()


def _named(environment: Mapping[str, str], *names: str) -> Proxy | None:
    name = next((name for name in names if environment.get(name)), None)
    return None if name is None else Proxy.parse(environment[name], f"${name}")
