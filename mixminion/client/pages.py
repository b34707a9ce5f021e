"""A page of the web: where a network's bootstrap file may stand.

Unlike a directory it is not signed, so that ``https`` means what it means on the web: a
certificate that this machine trusts, for that name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS, platformTrust

from mixminion.client.errors import BadPage, PageNotRead
from mixminion.dirhttp import requester
from mixminion.dirhttp.errors import FetchFailed
from mixminion.dirhttp.proxies import Proxies
from mixminion.dirhttp.tunnels import AbsoluteFormEndpoint, ConnectEndpoint
from mixminion.interfaces import Clock
from mixminion.util.hostport import HostPort

Connect = Callable[[HostPort], IStreamClientEndpoint]


@dataclass(frozen=True, slots=True)
class Page:
    """An address ``http://...`` or ``https://...``."""

    place: HostPort
    tls: bool
    path: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address.

        :raises BadPage: it is none.
        """
        try:
            parts = urlsplit(url)
            tls = {"http": False, "https": True}[parts.scheme]
            place = HostPort.parse(parts.netloc, default_port=443 if tls else 80)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            if not path.isascii() or not path.isprintable() or " " in path:
                raise ValueError
        except (KeyError, ValueError):
            raise BadPage(url=url) from None
        return cls(place, tls, path)

    @property
    def request(self) -> bytes:
        """What a request is sent to; the endpoint adds TLS."""
        return f"http://{self.place}{self.path}".encode("ascii")


async def read(
    url: str, limit: int, *, clock: Clock, connect: Connect, proxies: Proxies, trust: Any = None
) -> bytes:
    """The octets, at most *limit*, that stand at *url*; no redirection is followed.

    *trust* are the roots of certificates, the machine's own where it is None.

    :raises BadPage: *url* is no address.
    :raises PageNotRead: it cannot be had.
    """
    page = Page.parse(url)
    try:
        return await requester.get(
            clock,
            lambda: _endpoint(page, connect, proxies, trust),
            page.request,
            limit,
            source=url,
            document="page",
        )
    except FetchFailed as error:
        why, answered = error.fields["why"], error.fields["answered"]
        if answered in range(300, 400):
            why += ": it is elsewhere"
        raise PageNotRead(url=url, why=why, answered=answered) from None


def _endpoint(page: Page, connect: Connect, proxies: Proxies, trust: Any) -> IStreamClientEndpoint:
    proxy = proxies.of(page.place, tls=page.tls)
    endpoint = connect(page.place if proxy is None else proxy.place)
    if not page.tls:
        return endpoint if proxy is None else AbsoluteFormEndpoint(endpoint, proxy)
    if proxy is not None:
        endpoint = ConnectEndpoint(endpoint, page.place, proxy)
    roots = platformTrust() if trust is None else trust
    return wrapClientTLS(optionsForClientTLS(page.place.host, trustRoot=roots), endpoint)
