"""The table of targets."""

from __future__ import annotations

from tests.fuzz.driver import Target
from tests.fuzz.targets import packets

TARGETS: dict[str, Target] = {target.name: target for target in (*packets.TARGETS,)}
