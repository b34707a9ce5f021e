"""Text for people, JSON for programs: every command that shows something has ``--json``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import click

from mixminion.cli import telling

F = TypeVar("F", bound=Callable[..., Any])


def json_option(function: F) -> F:
    """``--json``, as the argument ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(
        function
    )


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Columns, each as wide as it must be."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


def print_result(
    data: Mapping[str, Any] | list[Any],
    lines: Iterable[str],
    *,
    as_json: bool,
    confirms: bool = False,
) -> None:
    """Print *data* as JSON, or *lines* for people, who may not want to hear what only *confirms*
    that all went well; ``--status-fd`` gets *data*."""
    told = telling.current()
    told.keep(data)
    if as_json:
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    elif not (confirms and told.quiet):
        for line in lines:
            click.echo(line)
