"""Signatures of a directory, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mixminion.cli.output import table
from mixminion.directory.standings import Standings

UNKNOWN = "unknown"


def data(standings: Standings) -> dict[str, Any]:
    """For ``--json``."""
    tally = standings.tally
    return {
        "signed": tally.signed,
        "known": len(standings.authorities),
        "needed": tally.needed,
        "enough": tally.enough,
        "authorities": [
            {
                "nickname": authority.nickname,
                "identity": authority.identity.hex(),
                "standing": str(standing),
            }
            for authority, standing in standings.authorities
        ],
        "unknown": [
            {"key-id": each.keyid, "identity": each.identity.hex() if each.identity else None}
            for each in standings.strangers
        ],
    }


def summary(standings: Standings) -> str:
    """``2 of 3, which is enough``."""
    tally = standings.tally
    enough = "which is enough" if tally.enough else f"and it takes {tally.needed}"
    return f"{tally.signed} of {len(standings.authorities)}, {enough}"


def rows(standings: Standings) -> Iterator[str]:
    """One line for each known authority, and for each signature of anybody else."""
    found = [
        (authority.nickname or "-", authority.identity.hex(), str(standing))
        for authority, standing in standings.authorities
    ]
    found += [
        ("-", each.identity.hex() if each.identity else f"key id {each.keyid[:16]}...", UNKNOWN)
        for each in standings.strangers
    ]
    return table(found)
