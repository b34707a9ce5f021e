"""Base classes for tests: synchronous first, asynchronous where a reactor really runs.

A coroutine function named ``test_...`` in a ``SynchronousTestCase`` passes without ever
running; :class:`SyncTestCase` refuses it when the class is made.
"""

from __future__ import annotations

import inspect
from typing import Any

from twisted.trial.unittest import SynchronousTestCase, TestCase
from typing_extensions import override


class SyncTestCase(SynchronousTestCase):
    """A test case without a reactor: fakes, virtual clocks, ``successResultOf``.

    :raises TypeError: while the class is made, when a test method is a coroutine or
        asynchronous generator function.
    """

    @override
    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in dir(cls):
            if name.startswith("test") and _is_async(getattr(cls, name)):
                raise TypeError(
                    f"{cls.__qualname__}.{name} is async and would pass without running:"
                    " use AsyncTestCase, or successResultOf in a plain method"
                )


class AsyncTestCase(TestCase):
    """A test case in the running reactor: real sockets and processes; may be ``async def``."""


def _is_async(method: object) -> bool:
    """Whether calling *method*, or what it wraps, only makes a coroutine."""
    function = inspect.unwrap(method) if callable(method) else method
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
