"""A host and a port as people write them: ``192.0.2.1:48099``, ``[::1]:80``, ``mx.example:25``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from typing_extensions import override

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?", re.ASCII)


def is_name(text: str) -> bool:
    """Whether *text*, in lower case, is a host name of the DNS: labels of letters, digits, hyphens.

    A last label of digits alone would be a mistyped IPv4 address and is refused.
    """
    labels = text.removesuffix(".").split(".")
    return (
        len(text) <= 253
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
    )


@dataclass(frozen=True, slots=True, order=True)
class HostPort:
    """A host, an IP literal (canonical, without brackets) or a name in lower case, and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, *, default_port: int | None = None) -> HostPort:
        """Read ``host:port``; IPv6 literals stand in brackets.

        Raises :class:`ValueError`, whose text says what was expected.
        """
        if text.startswith("["):
            host, bracket, rest = text[1:].partition("]")
            if not bracket or (rest and not rest.startswith(":")):
                raise ValueError("an IPv6 address stands in brackets, as in [::1]:80")
            port_text: str | None = rest[1:] if rest else None
        else:
            if text.count(":") > 1:
                raise ValueError("an IPv6 address stands in brackets, as in [::1]:80")
            host, colon, after = text.partition(":")
            port_text = after if colon else None
        port = default_port if port_text is None else _port(port_text)
        if port is None:
            raise ValueError("a port is missing, as in 192.0.2.1:48099")
        return cls(_host(host, bracketed=text.startswith("[")), port)

    @property
    def address(self) -> IPv4Address | IPv6Address | None:
        """The IP address; None when the host is a name."""
        return _literal(self.host)

    @override
    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@lru_cache(1 << 16)  # paths ask for the same ones again and again, at 6 us each
def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise ValueError("a port is a number from 0 to 65535")
    return int(text)


def _host(text: str, *, bracketed: bool) -> str:
    if "%" in text:
        raise ValueError("an address has no zone here")
    try:
        address = ip_address(text)
    except ValueError:
        pass
    else:
        if bracketed != (address.version == 6):
            raise ValueError("only an IPv6 address stands in brackets")
        return address.compressed
    name = text.lower()
    if bracketed or not is_name(name):
        raise ValueError("a host is an IP address or a host name")
    return name
