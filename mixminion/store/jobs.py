"""What is queued for the store's owner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from mixminion.store.transaction import Transaction


class Job:
    """One operation, who waits for it, and what became of it: a result, or an error."""

    __slots__ = ("argument", "error", "function", "result", "waiter")

    def __init__(
        self,
        function: Callable[[Transaction, Any], Any],
        argument: Any,
        waiter: Deferred[Any],
    ) -> None:
        self.function = function
        self.argument = argument
        self.waiter = waiter
        self.result: Any = None
        self.error: Exception | None = None
