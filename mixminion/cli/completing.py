"""Words that a shell offers: names of servers and of identities, as they are held.

Called at each press of a key, so that it imports little, believes what it finds, and says nothing
when it finds nothing: who chooses among them has his choice checked afterwards.
"""

from __future__ import annotations

import os
import re
import sqlite3
from base64 import b64decode
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from contextlib import closing
from json import loads
from pathlib import Path

import click
from click.shell_completion import CompletionItem


def servers(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Nicknames that begin so; behind a comma those for the next hop of a path, behind a bar those
    for the same."""
    begun = re.split(r"[,|]", incomplete)[-1]
    before = incomplete[: len(incomplete) - len(begun)]
    return [
        CompletionItem(f"{before}{name}")
        for name in nicknames(_home(context))
        if name.lower().startswith(begun.lower())
    ]


def identities(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of one's own that begin so."""
    return [CompletionItem(name) for name in names(_home(context)) if name.startswith(incomplete)]


def nicknames(home: Path) -> list[str]:
    """Those of the directory that is held."""
    try:
        envelope = loads((home / "directory" / "consensus").read_bytes())
        consensus = loads(b64decode(envelope["payload"]))
        return sorted(str(each["nickname"]) for each in consensus["servers"])
    except (OSError, ValueError, LookupError, TypeError):
        return []


def names(home: Path) -> list[str]:
    """Those of the identities that are held."""
    path = home / "client.sqlite"
    try:
        if not path.is_file():
            return []
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return [name for (name,) in connection.execute("SELECT name FROM identities")]
    except sqlite3.Error:
        return []


def _home(context: click.Context) -> Path:
    """The client's state folder, as its configuration says."""
    named = context.params.get("filename") or os.environ.get("MIXMINION_CONFIG")
    path = Path(named or Path.home() / ".config" / "mixminion" / "mixminion.conf").absolute()
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(path.read_text("utf-8"))
        home = parser.get("Client", "home", fallback="state")
    except (OSError, ValueError, ConfigParserError):
        home = "state"
    return path.parent / Path(home).expanduser()
