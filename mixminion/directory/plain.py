"""Parts of documents as people read them: octets in hexadecimal, times in RFC 3339, addresses
as ``HOST:PORT``.  What comes out is plain JSON, and no document any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mixminion.directory.documents import Part
from mixminion.util import times
from mixminion.util.hostport import HostPort

_MEMBERS: dict[str, Callable[[Any], Any]] = {
    "addresses": lambda value: [str(HostPort(each["host"], each["port"])) for each in value]
} | dict.fromkeys(
    ("valid-after", "fresh-until", "valid-until", "published", "usable-from", "begins", "ends"),
    times.to_text,
)
_AS_THEY_ARE = {"policy"}  # an exit's own words


def plain(part: Part) -> dict[str, Any]:
    """The members of *part*, those at their default left out as documents leave them out."""
    found: dict[str, Any] = _plain(msgspec.to_builtins(part, builtin_types=(bytes,)))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {
            name: each if name in _AS_THEY_ARE else _MEMBERS.get(name, _plain)(each)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
