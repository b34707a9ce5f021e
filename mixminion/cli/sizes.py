"""The type of options that are a size, written as in configurations: ``10 MiB``, ``2000``."""

from __future__ import annotations

from typing import Any

import click
from typing_extensions import override

from mixminion.config import values
from mixminion.config.errors import BadValue


class Size(click.ParamType[int]):
    """Octets."""

    name = "size"

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return values.size.read(value)
        except BadValue as error:
            self.fail(str(error), param, ctx)


SIZE = Size()
