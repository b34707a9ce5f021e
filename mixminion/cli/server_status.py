"""``mixminion server status``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from mixminion.app import configuration
from mixminion.cli.errors import NoServer
from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result
from mixminion.control.client import ask
from mixminion.control.errors import NotRunning


@click.command()
@server_option
@json_option
def command(path: Path, as_json: bool) -> None:
    """Show what the server does.

    The first line is OK, or the one thing to do.
    """
    places = configuration.places_of_running(path)
    try:
        status = ask(places.control, "status")
    except NotRunning as error:
        raise NoServer(home=places.home) from error
    print_result(status, _lines(status), as_json=as_json)


def _lines(status: Mapping[str, Any]) -> Iterator[str]:
    """``attention`` first; then what has one value; then the groups, indented."""
    attention = status.get("attention", [])
    yield attention[0] if attention else "OK"
    for further in attention[1:]:
        yield f"Also: {further}"
    yield ""
    groups = {name: value for name, value in status.items() if isinstance(value, dict | list)}
    for name, value in status.items():
        if name not in groups:
            yield f"{name}: {_text(value)}"
    for name, group in groups.items():
        if name != "attention":
            yield from _group(name, group, "")


def _group(name: str, group: Any, indent: str) -> Iterator[str]:
    if not group:
        yield f"{indent}{name}: none"
    elif isinstance(group, dict):
        yield f"{indent}{name}:"
        for key, value in group.items():
            if isinstance(value, dict | list):
                yield from _group(key, value, indent + "  ")
            else:
                yield f"{indent}  {key}: {_text(value)}"
    elif all(isinstance(item, str | int) for item in group):
        yield f"{indent}{name}: {', '.join(_text(item) for item in group)}"
    else:
        for item in group:
            yield from _group(name, item, indent)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
