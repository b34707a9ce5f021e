"""Work off the reactor's thread."""

from __future__ import annotations

import threading
from typing import Any

from twisted.internet import reactor as installed

from mixminion.exits.threads import Threads
from mixminion.testing.cases import AsyncTestCase

reactor: Any = installed


class ThreadsTests(AsyncTestCase):
    async def test_results(self) -> None:
        """What work returns or raises comes back to the reactor's thread."""
        threads = Threads(reactor)
        here = threading.get_ident()
        self.assertNotEqual(await threads(threading.get_ident), here)
        self.assertEqual(threading.get_ident(), here)
        with self.assertRaises(ZeroDivisionError):
            await threads(lambda: 1 // 0)

    async def test_hanging(self) -> None:
        """However many hang, others go on."""
        threads = Threads(reactor)
        free = threading.Event()
        self.addCleanup(free.set)
        hanging = [threads(lambda: free.wait(60)) for _ in range(30)]
        self.assertEqual(await threads(lambda: 7), 7)
        free.set()
        for each in hanging:
            self.assertTrue(await each)
