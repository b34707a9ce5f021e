"""A daemon's status as text: one value a line, groups indented."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def lines(status: Mapping[str, Any]) -> Iterator[str]:
    """``attention`` first; then what has one value; then the groups, indented."""
    attention = status.get("attention", [])
    yield attention[0] if attention else "OK"
    for further in attention[1:]:
        yield f"Also: {further}"
    yield ""
    groups = {name: value for name, value in status.items() if isinstance(value, dict | list)}
    for name, value in status.items():
        if name not in groups:
            yield f"{name}: {_text(value)}"
    for name, group in groups.items():
        if name != "attention":
            yield from _group(name, group, "")


def _group(name: str, group: Any, indent: str) -> Iterator[str]:
    if not group:
        yield f"{indent}{name}: none"
    elif isinstance(group, dict):
        yield f"{indent}{name}:"
        for key, value in group.items():
            if isinstance(value, dict | list):
                yield from _group(key, value, indent + "  ")
            else:
                yield f"{indent}  {key}: {_text(value)}"
    elif all(isinstance(item, str | int) for item in group):
        yield f"{indent}{name}: {', '.join(_text(item) for item in group)}"
    else:
        for item in group:
            yield from _group(name, item, indent)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
