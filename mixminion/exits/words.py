"""The words in which exits say why: short, fixed, and fit to be counted and logged."""

from __future__ import annotations

import re

UNSPOKEN = "unspoken"

_WORD = re.compile(r"[a-z][a-z0-9-]{0,30}", re.ASCII)


def word(reason: str) -> str:
    """*reason* when it is such a word, :data:`UNSPOKEN` otherwise: a far side's text or an
    address may be in anything longer, and modules are other people's."""
    return reason if isinstance(reason, str) and _WORD.fullmatch(reason) else UNSPOKEN
