"""The keys of [Log], which every daemon has; each says where its file is."""

from __future__ import annotations

from pathlib import Path

from mixminion.config import values
from mixminion.config.schema import option, section


@section("Log")
class LogSection:
    """What a daemon writes about its work."""

    level: str = option(
        values.choice("debug", "info", "warn", "error"),
        default="info",
        doc="The least important event that is written.",
    )
    file: Path = option(values.path, doc="The log file.")
    max_size: int = option(
        values.within(values.size, 64 * 2**10),
        default="10 MiB",
        doc="The log file is set aside and begun anew at this size.",
    )
    keep: int = option(values.integer(1, 1000), default=5, doc="How many old log files are kept.")
