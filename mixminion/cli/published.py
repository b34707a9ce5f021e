"""What the authorities say of a server, a line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def sayings(authorities: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """By the authorities' names."""
    return {each["authority"]: _said(each) for each in authorities}


def _said(authority: Mapping[str, Any]) -> str:
    parts = []
    if authority["state"] is not None:
        said = f"{authority['state']}, heard {_ago(authority['age'])} ago"
        older = "" if authority["current"] else ", of another descriptor than the newest"
        parts.append(f"{said}{older}: {authority['reason'] or '-'}")
    if authority["error"] is not None:
        parts.append(f"no good answer ({authority['error']})")
    return "; ".join(parts) or "not asked yet"


def _ago(seconds: int) -> str:
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{seconds} s"
