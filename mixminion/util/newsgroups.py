"""Lists of newsgroups as exits to news publish them: a group, ``group.*`` for all below it, or
``*`` for all there are."""

from __future__ import annotations

from collections.abc import Iterable


def among(group: str, patterns: Iterable[str]) -> bool:
    """Whether one of *patterns* means *group*."""
    return any(
        each == "*" or group == each or (each.endswith(".*") and group.startswith(each[:-1]))
        for each in patterns
    )
