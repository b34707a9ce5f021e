"""The client's state: one SQLite file (:mod:`mixminion.disk.database`)."""

from __future__ import annotations

from pathlib import Path

from mixminion.client.errors import StateUnusable
from mixminion.disk import database
from mixminion.disk.database import Executor, InlineExecutor, Query, ThreadExecutor

__all__ = ["Database", "Executor", "InlineExecutor", "Query", "ThreadExecutor"]


class Database(database.Database):
    """The client's; fails with :class:`~mixminion.client.errors.StateUnusable`."""

    def __init__(self, path: Path, executor: Executor) -> None:
        super().__init__(path, executor, "mixminion.client", StateUnusable)
