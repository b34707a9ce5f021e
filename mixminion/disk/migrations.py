"""SQL migrations: numbered files of a package, applied in order to one SQLite file.

The file's ``user_version`` says how many have been applied.  Each runs in a transaction of
its own, together with its number, so that one cut off has not happened.
"""

from __future__ import annotations

import re
import sqlite3
from importlib.resources import files
from importlib.resources.abc import Traversable

from mixminion.errors import EX_CANTCREAT, OperatorError

_NAME = re.compile(r"(\d{4})-[a-z0-9-]+\.sql")


class NewerState(OperatorError):
    """The file was written by a version that knows more migrations than this one."""

    code = "newer-state"
    sentence = (
        "{path} was written by a newer version of Mixminion (its format is {found}, this program"
        " knows {known}); use that version."
    )
    exit_code = EX_CANTCREAT


def scripts(package: str) -> list[str]:
    """The texts of *package*'s files ``0001-name.sql``, ``0002-name.sql``, ... in order.

    :raises ValueError: a number is missing or used twice.
    """
    numbered: dict[int, Traversable] = {}
    for file in files(package).iterdir():
        match = _NAME.fullmatch(file.name)
        if match is not None and numbered.setdefault(int(match[1]), file) is not file:
            raise ValueError(f"two migrations of {package} have the number {match[1]}")
    if sorted(numbered) != list(range(1, len(numbered) + 1)):
        raise ValueError(f"the migrations of {package} are not numbered from 0001 without gaps")
    return [numbered[number].read_text("utf-8") for number in sorted(numbered)]


def apply(connection: sqlite3.Connection, migrations: list[str], *, path: str) -> None:
    """Bring the file up to the last of *migrations*; *path* is for the sentence only.

    *connection* is in autocommit mode (``isolation_level=None``).

    :raises NewerState: the file is ahead of *migrations*.
    """
    while True:
        connection.execute("BEGIN IMMEDIATE")
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > len(migrations):
                raise NewerState(path=path, found=version, known=len(migrations))
            if version == len(migrations):
                return
            for statement in _statements(migrations[version]):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _statements(script: str) -> list[str]:
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return [*statements, pending] if pending.strip() else statements
