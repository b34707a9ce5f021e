"""What the commands that decide about a server have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mixminion.cli.output import print_result
from mixminion.cli.running import ask_authority


def name_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """``NAME``."""
    return click.argument("name")(function)


def note_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--because``, as the argument ``note``."""
    return click.option(
        "--because", "note", metavar="TEXT", default="", help="Why; the server's operator reads it."
    )(function)


def decide(
    path: Path,
    name: str,
    decision: str,
    done: str,
    *,
    exit: bool = False,
    note: str = "",
    as_json: bool,
) -> None:
    """Tell the authority, and the operator what came of it; *done* begins the sentence."""
    server = ask_authority(path, "decide", name=name, decision=decision, exit=exit, note=note)
    who = server["nickname"] or server["identity"]
    lines = [
        f"{done} {who} ({server['identity'][:16]}...).",
        f"It is {server['state']}: {server['reason']}",
    ]
    print_result(server, lines, as_json=as_json)
