"""The table of targets."""

from __future__ import annotations

from tests.fuzz.driver import Target
from tests.fuzz.targets import (
    arrivals,
    authorities,
    dialogues,
    documents,
    encrypted,
    exchanges,
    files,
    intakes,
    links,
    packets,
    servers,
    stores,
    texts,
)

ROOMS = (
    packets,
    links,
    documents,
    texts,
    servers,
    intakes,
    files,
    stores,
    arrivals,
    authorities,
    exchanges,
    dialogues,
    encrypted,
)

TARGETS: dict[str, Target] = {target.name: target for room in ROOMS for target in room.TARGETS}
