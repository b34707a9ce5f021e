"""Worker processes: real ones, on the real reactor."""

import os
import signal
import sys
from collections.abc import Sized
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList

from mixminion.counters import Counters
from mixminion.errors import OperatorError, render
from mixminion.mix import batches, worker, workers
from mixminion.mix.batches import Answer, Drop
from mixminion.mix.keys import DamagedKey
from mixminion.mix.slots import BATCH
from mixminion.mix.unwrapping import Unwrapping
from mixminion.mix.worker import WorkerFailed
from mixminion.mix.workers import InlineWorkers, WorkerProcesses, WorkersDied
from mixminion.sphinx.unwrap import Deliver
from mixminion.testing.cases import AsyncTestCase, SyncTestCase
from tests.mix import broken_worker
from tests.mix.kit import GEOMETRY, NODE, Maker, until

LIMITED = "trap '' XFSZ; ulimit -f 0; exec \"$@\""
"""A process whose files may have no octet, as on a full disk."""


class Kit(AsyncTestCase):
    """Workers with keys in a folder; packets for them."""

    timeout = 60

    def setUp(self) -> None:
        self.maker = Maker(Path(self.mktemp()))
        self.maker.make(1)
        self.counters = Counters()
        self.patch(workers, "RESPAWN", 0.01)

    def start(self, count: int = 1, **options: Any) -> WorkerProcesses:
        """Start *count* of them; they are stopped when the test ends."""
        where = options.pop("reactor", reactor)
        pool = WorkerProcesses(
            where, GEOMETRY.packet, NODE, self.maker.folder, count, self.counters, **options
        )
        pool.start()
        self.addCleanup(pool.stop)
        return pool

    def start_breaking(self, count: int = 1, *, able: bool = True) -> WorkerProcesses:
        """Start some that break when a packet says so."""
        self.flag = self.maker.folder / "flag"
        if able:
            self.flag.touch()
        script = os.path.abspath(broken_worker.__file__)
        return self.start(
            count, program=lambda told: [sys.executable, "-P", script, str(self.flag), told]
        )

    def batch(self, name: str, count: int = BATCH) -> list[bytes]:
        """A batch of packets that end here."""
        return [self.maker.deliver(f"{name} {n}".encode()) for n in range(count)]

    def assert_answered(self, answers: batches.Answers, name: str, count: int = BATCH) -> None:
        """Each answer is that of its packet."""
        bodies = [self.maker.body(f"{name} {n}".encode()) for n in range(count)]
        results = [each.result for each in answers if isinstance(each, Answer)]
        self.assertEqual([each.body for each in results if isinstance(each, Deliver)], bodies)

    async def assert_gone(self, pids: list[int]) -> None:
        """No such process is left."""
        for pid in pids:
            self.assertRaises(ProcessLookupError, os.kill, pid, 0)


def at_least(count: int, things: Sized) -> bool:
    """Whether there are so many."""
    return len(things) >= count


def able(pool: WorkerProcesses) -> list[int]:
    """Process ids of those that take batches."""
    return [each.pid for each in pool._workers if each.ready and each.pid is not None]


def word(text: bytes) -> list[bytes]:
    """A batch of one packet that says what to do."""
    return [text.ljust(GEOMETRY.packet, b".")]


class WorkTests(Kit):
    """What they are there for."""

    async def test_packets_are_unwrapped_in_order(self) -> None:
        """Good ones, junk between them, under the first key that opens them."""
        pool = self.start()
        good = self.batch("good", 2)
        old = self.maker.deliver(b"old", period=2)
        answers = await pool.unwrap([1, 2], [good[0], bytes(GEOMETRY.packet), old, good[1]])
        periods = [each.period if isinstance(each, Answer) else each for each in answers]
        self.assertEqual(periods, [1, Drop("version"), 2, 1])
        self.assert_answered([answers[0], answers[3]], "good", 2)

    async def test_a_key_that_one_made_opens_packets_in_all(self) -> None:
        """Also in one that had looked for it before it was there."""
        pool = self.start(2)
        for _ in range(4):  # both look
            await DeferredList([pool.unwrap([7], self.batch("x", 1)) for _ in range(4)])
        made = await pool.make([self.maker.wanted(7)])
        self.assertEqual(made, [self.maker.make(7)])
        packets = [self.maker.deliver(b"%d" % n, period=7) for n in range(8)]
        asked = [pool.unwrap([7], [packet]) for packet in packets]
        answers = [await each for each in asked]
        self.assertTrue(all(isinstance(each, Answer) for [each] in answers), answers)

    async def test_keys_that_are_not_kept_are_forgotten_by_all(self) -> None:
        """In memory as on disk: both have opened a packet with the key before."""
        pool = self.start(2)
        await until(lambda: all(each.ready for each in pool._workers))
        packets = self.batch("x", 8)
        await DeferredList([pool.unwrap([1], [packet]) for packet in packets])
        await pool.keep([2])
        self.assertFalse(self.maker.keys.path(1).exists())
        asked = [pool.unwrap([1], [packet]) for packet in packets]
        self.assertEqual([await each for each in asked], [[Drop("mac")]] * 8)

    async def test_keys_are_erased_also_while_no_worker_runs(self) -> None:
        """The next one does it."""
        pool = self.start()
        await pool.keep([])
        self.assertFalse(self.maker.keys.path(1).exists())

    async def test_what_cannot_be_done_fails_by_its_code(self) -> None:
        """A damaged key file: the worker goes on."""
        pool = self.start()
        packets = self.batch("x", 1)
        self.maker.keys.path(1).write_bytes(b"{}")
        failing: list[Deferred[Any]] = [
            pool.unwrap([1], packets),
            pool.make([self.maker.wanted(1)]),
        ]
        for each in failing:
            error = await self.assertFailure(each, DamagedKey)
            self.assertEqual(error.fields["path"], str(self.maker.keys.path(1)))
        self.assertEqual(self.counters["worker-died"], 0)

    async def failure(self, asked: Deferred[Any]) -> OperatorError:
        """Why it failed."""
        try:
            await asked
        except OperatorError as error:
            return error
        self.fail("it did not")

    async def test_every_key_is_checked(self) -> None:
        """Those that a worker has read before, too: the next one will read them again."""
        pool = self.start()
        packets = self.batch("x", 1)
        await pool.check()
        await pool.unwrap([1], packets)
        path = self.maker.keys.path(1)
        path.write_bytes(b"{}")
        error = await self.failure(pool.check())
        self.assertIn(f"{path} cannot be read. Move it away", render(error))
        self.assert_answered(await pool.unwrap([1], packets), "x", 1)
        path.chmod(0o644)
        inline = InlineWorkers(Unwrapping(self.maker.keys, None, GEOMETRY.packet))
        for asked in (pool.check(), inline.check()):
            self.assertIn(f"chmod 600 {path}", render(await self.failure(asked)))

    async def test_a_full_disk_is_told(self) -> None:
        """A key that cannot be written is none, and half of none either."""
        pool = self.start(program=lambda told: ["sh", "-c", LIMITED, "sh", *workers.command(told)])
        error = await self.failure(pool.make([self.maker.wanted(7)]))
        path = self.maker.keys.path(7)
        self.assertEqual(render(error), f"Cannot write {path}: File too large.")
        self.assertEqual(sorted(each.name for each in path.parent.iterdir()), ["packet-1.key"])


class DeathTests(Kit):
    """Workers that end, in every way."""

    def counted(self, deaths: int) -> bool:
        """Whether so many have been noticed."""
        return self.counters["worker-died"] == deaths

    async def test_every_packet_is_answered_once_though_workers_are_killed(self) -> None:
        """kill -9 of one of two workers, three times, in the middle of many batches."""
        pool = self.start(2)
        names = [f"batch {n}" for n in range(60)]
        packets = {name: self.batch(name, 8) for name in names}
        answered: dict[str, batches.Answers] = {}

        async def ask(name: str) -> None:
            answers = await pool.unwrap([1], packets[name])
            self.assertNotIn(name, answered)
            answered[name] = answers

        asked = [Deferred.fromCoroutine(ask(name)) for name in names]
        for deaths, enough in enumerate((5, 20, 40), start=1):
            await until(partial(at_least, enough, answered))
            await until(partial(able, pool))  # the one killed last may not be reaped yet
            os.kill(able(pool)[0], signal.SIGKILL)
            await until(partial(self.counted, deaths))
        await DeferredList(asked, fireOnOneErrback=True)
        for name in names:
            self.assert_answered(answered[name], name, 8)

    async def test_three_deaths_over_one_batch_give_it_up_and_blame_no_other(self) -> None:
        """The one behind it in the same worker, three times, is answered."""
        pool = self.start_breaking()
        poison, good = pool.unwrap([1], word(b"DIES")), pool.unwrap([1], self.batch("good", 3))
        await self.assertFailure(poison, WorkersDied)
        self.assert_answered(await good, "good", 3)
        self.assertEqual(self.counters["worker-died"], 3)

    async def test_a_worker_that_cannot_start_is_no_fault_of_the_packets(self) -> None:
        """An installation that is broken for a while: nothing is given up."""
        pool = self.start_breaking(able=False)
        waiting = pool.unwrap([1], self.batch("good", 3))
        self.assertFalse(pool.room)
        await until(lambda: self.counters["worker-died"] > 4)
        self.flag.touch()
        self.assert_answered(await waiting, "good", 3)

    async def test_a_worker_that_cannot_be_spawned_is_tried_again(self) -> None:
        """No processes, no descriptors: for now."""
        failing = _Reluctant(2)
        pool = self.start(reactor=failing)
        self.assertEqual(pool.pids, [])
        self.assert_answered(await pool.unwrap([1], self.batch("good", 3)), "good", 3)
        self.assertEqual(failing.left, 0)

    async def test_unreadable_answers_end_a_worker_and_lose_no_batch(self) -> None:
        """A batch nobody asked for, endless lengths, too few answers, unknown kinds, another
        request's answer."""
        self.patch(workers, "TRIES", 1)
        pool = self.start_breaking()
        for died, each in enumerate((b"JUNK", b"LONG", b"NONE", b"KIND", b"MAKE"), 1):
            junk, good = pool.unwrap([1], word(each)), pool.unwrap([1], self.batch("good", 1))
            await self.assertFailure(junk, WorkersDied)
            self.assert_answered(await good, "good", 1)
            self.assertEqual(self.counters["worker-died"], died)

    async def test_a_worker_that_hangs_is_killed_and_its_batches_answered(self) -> None:
        """Stopped by a signal it answers nothing and does not end."""
        pool = self.start()
        await pool.unwrap([1], self.batch("x", 1))
        [pid] = pool.pids
        os.kill(pid, signal.SIGSTOP)
        self.patch(worker, "HANGING", 0.1)
        asked = [pool.unwrap([1], self.batch(name, 2)) for name in ("one", "two", "three")]
        worker.HANGING = 60.0
        for name, each in zip(("one", "two", "three"), asked, strict=True):
            self.assert_answered(await each, name, 2)
        await self.assert_gone([pid])

    async def test_keeping_survives_a_death(self) -> None:
        """The request goes to the worker that comes after."""
        pool = self.start()
        await pool.unwrap([1], self.batch("x", 1))
        os.kill(pool.pids[0], signal.SIGSTOP)
        kept = pool.keep([])
        os.kill(pool.pids[0], signal.SIGKILL)
        await kept
        self.assertFalse(self.maker.keys.path(1).exists())


class StopTests(Kit):
    """How they end."""

    async def test_stopping_leaves_no_process(self) -> None:
        """And what is asked later, or was not answered, fails."""
        pool = self.start(2)
        await pool.unwrap([1], self.batch("x", 1))
        pids = pool.pids
        self.assertEqual(len(set(pids)), 2)
        asked: list[Deferred[Any]] = [pool.unwrap([1], self.batch("x", 1)) for _ in range(9)]
        stopped = pool.stop()
        ends = await DeferredList([*asked, pool.make([self.maker.wanted(1)])], consumeErrors=True)
        for succeeded, end in ends:
            self.assertFalse(succeeded)
            self.assertEqual(end.value.fields["reason"], "stopping")
        await stopped
        await self.assert_gone(pids)
        self.assertEqual((pool.pids, pool.room), ([], False))

    async def test_stopping_before_they_have_started(self) -> None:
        """Their interpreters are still loading."""
        pool = self.start(2)
        pids = pool.pids
        await pool.stop()
        await self.assert_gone(pids)

    async def test_a_worker_that_does_not_end_is_killed(self) -> None:
        """The stop waits for ENDING and no longer."""
        pool = self.start()
        await pool.unwrap([1], self.batch("x", 1))
        pids = pool.pids
        os.kill(pids[0], signal.SIGSTOP)
        self.patch(worker, "ENDING", 0.05)
        await pool.stop()
        await self.assert_gone(pids)

    async def test_stopping_while_one_is_being_replaced(self) -> None:
        """Nothing is started any more."""
        self.patch(workers, "RESPAWN", 30.0)
        pool = self.start()
        os.kill(pool.pids[0], signal.SIGKILL)
        await until(lambda: not pool._workers)
        waiting = pool.make([self.maker.wanted(1)])
        await pool.stop()
        await self.assertFailure(waiting, WorkerFailed)


class InlineTests(SyncTestCase):
    """The same in one process."""

    def test_it_does_what_the_processes_do(self) -> None:
        """Make, unwrap, keep."""
        maker = Maker(Path(self.mktemp()))
        inline = InlineWorkers(Unwrapping(maker.keys))
        inline.start()
        self.assertTrue(inline.room)
        made = self.successResultOf(inline.make([maker.wanted(1)]))
        self.assertEqual(made, [maker.make(1)])
        [answer] = self.successResultOf(inline.unwrap([1], [maker.deliver(b"text")]))
        assert isinstance(answer, Answer) and isinstance(answer.result, Deliver)
        self.assertEqual(answer.result.body, maker.body(b"text"))
        self.successResultOf(inline.keep([]))
        self.assertFalse(maker.keys.path(1).exists())
        self.successResultOf(inline.stop())


class _Reluctant:
    """A reactor that cannot spawn so many times."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)

    def spawnProcess(self, *arguments: Any, **options: Any) -> Any:
        if self.left:
            self.left -= 1
            raise OSError(11, "Resource temporarily unavailable")
        return reactor.spawnProcess(*arguments, **options)
