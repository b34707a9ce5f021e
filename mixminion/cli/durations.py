"""The type of options that are a time, written as in configurations: ``10 days``, ``2 h``."""

from __future__ import annotations

from typing import Any

import click
from typing_extensions import override

from mixminion.config import values
from mixminion.config.errors import BadValue


class Duration(click.ParamType[float]):
    """Seconds."""

    name = "time"

    @override
    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        try:
            return values.duration.read(value)
        except BadValue as error:
            self.fail(str(error), param, ctx)


DURATION = Duration()
