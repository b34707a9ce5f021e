"""Groups form by themselves, in order, and both executors end properly."""

from __future__ import annotations

import threading
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mixminion.store.executors import GROUP_MAX, InlineExecutor, ThreadExecutor
from mixminion.store.jobs import Job
from mixminion.testing.cases import AsyncTestCase, SyncTestCase


def job(number: int) -> Job:
    return Job(lambda transaction, argument: None, number, Deferred())


class InlineTests(SyncTestCase):
    """Without a thread."""

    def test_group(self):
        """What one instant queued is one group; nothing runs within the call itself."""
        clock = Clock()
        executor = InlineExecutor(clock)
        groups: list[tuple[str, list[int]]] = []
        executor.start(
            lambda jobs: groups.append(("perform", [j.argument for j in jobs])),
            lambda jobs: groups.append(("deliver", [j.argument for j in jobs])),
        )
        executor.submit(job(1))
        executor.submit(job(2))
        self.assertEqual(groups, [])
        clock.advance(0)
        executor.submit(job(3))
        stopped = executor.stop()
        clock.advance(0)
        self.successResultOf(stopped)
        expected = [(what, which) for which in ([1, 2], [3]) for what in ("perform", "deliver")]
        self.assertEqual(groups, expected)


class ThreadTests(AsyncTestCase):
    """With one thread."""

    async def test_groups(self) -> None:
        """While one group is at work the next gathers, up to the limit; order is kept, all
        work is done in one other thread, all deliveries in the reactor's."""
        groups: list[list[int]] = []
        delivered: list[list[int]] = []
        threads: list[set[int]] = [set(), set()]
        begun, go_on = threading.Event(), threading.Event()

        def perform(jobs: list[Job]) -> None:
            threads[0].add(threading.get_ident())
            groups.append([j.argument for j in jobs])
            begun.set()
            go_on.wait(10)

        def deliver(jobs: list[Job]) -> None:
            threads[1].add(threading.get_ident())
            delivered.append([j.argument for j in jobs])

        executor = ThreadExecutor(self.reactor)
        executor.start(perform, deliver)
        executor.submit(job(0))
        begun.wait(10)
        for number in range(1, GROUP_MAX + 3):
            executor.submit(job(number))
        go_on.set()
        await executor.stop()
        expected = [[0], list(range(1, GROUP_MAX + 1)), [GROUP_MAX + 1, GROUP_MAX + 2]]
        self.assertEqual(groups, expected)
        self.assertEqual(delivered, expected)
        self.assertEqual([len(ids) for ids in threads], [1, 1])
        self.assertEqual(threads[1], {threading.get_ident()})
        self.assertNotEqual(threads[0], threads[1])

    @property
    def reactor(self) -> Any:
        return reactor
