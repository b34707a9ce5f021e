"""Times as documents carry them: RFC 3339, UTC, whole seconds (``2026-11-23T08:00:00Z``)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

LAST = 253_402_300_799
"""9999-12-31T23:59:59Z."""

_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def to_text(seconds: float) -> str:
    """Unix time to :data:`LAST`, rounded down to a whole second, in RFC 3339."""
    return datetime.fromtimestamp(seconds // 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20)


def from_text(text: str) -> int:
    """Unix seconds of a time in the form :func:`to_text` gives; else :class:`ValueError`."""
    if not _FORM.fullmatch(text):
        raise ValueError("a time has the form 2026-11-23T08:00:00Z")
    return int(datetime.fromisoformat(text).timestamp())
