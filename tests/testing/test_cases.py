"""The base classes refuse what would pass without running."""

from __future__ import annotations

from functools import wraps
from typing import Any

from mixminion.testing.cases import AsyncTestCase, SyncTestCase


class SyncTestCaseTests(SyncTestCase):
    def refused(self, method: Any, base: type = SyncTestCase) -> None:
        with self.assertRaisesRegex(TypeError, "Bad.test_it is async"):
            type("Bad", (base,), {"test_it": method, "__qualname__": "Bad"})

    def test_coroutine(self) -> None:
        """``async def test_`` is refused when the class is made."""

        async def method(self: object) -> None: ...

        self.refused(method)

    def test_asynchronous_generator(self) -> None:
        """So is one that yields."""

        async def method(self: object) -> Any:
            yield

        self.refused(method)

    def test_decorated(self) -> None:
        """So is one behind a decorator."""

        async def method(self: object) -> None: ...

        @wraps(method)
        def decorated(*args: Any) -> Any:
            return method(*args)

        self.refused(decorated)

    def test_inherited(self) -> None:
        """So is one that comes from a mix-in."""

        class Mixin:
            async def test_it(self) -> None: ...

        with self.assertRaises(TypeError):
            type("Bad", (Mixin, SyncTestCase), {})

    def test_others_pass(self) -> None:
        """Helpers may be coroutines, and asynchronous test cases have coroutines as tests."""

        async def method(self: object) -> None: ...

        type("Good", (SyncTestCase,), {"help": method, "test_it": lambda self: None})
        type("Good", (AsyncTestCase,), {"test_it": method})


class AsyncTestCaseTests(AsyncTestCase):
    ran = False

    async def test_runs(self) -> None:
        """An asynchronous test really runs."""
        AsyncTestCaseTests.ran = True

    def tearDown(self) -> None:
        self.assertTrue(AsyncTestCaseTests.ran)
