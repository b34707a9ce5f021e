"""What the pure machine of every session asks of its transport."""

from __future__ import annotations

from dataclasses import dataclass

from mixminion.mmtp.errors import SessionError


@dataclass(frozen=True, slots=True)
class Send:
    """Write this."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class End:
    """Close the connection, after everything written; *error* when it was broken."""

    error: SessionError | None
