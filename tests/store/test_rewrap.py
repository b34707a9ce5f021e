"""A change of storage keys, with everything else going on and ended at any point."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred
from typing_extensions import override

from mixminion.crypto.rng import SystemRandom
from mixminion.disk import private
from mixminion.disk.keystore import KeyStore, Kind
from mixminion.store import Executor, Pooled, Step, Store, StoreClosed, transaction
from mixminion.store.executors import Work
from mixminion.store.jobs import Job
from mixminion.store.shelf import Shelf
from tests.store.cases import StoreCase


class PowerLostError(BaseException):
    """The machine ended here."""


def ending(function: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
    """*function*, with the machine's end before it or after it."""

    def ends(*arguments: Any, **named: Any) -> None:
        if not before:
            function(*arguments, **named)
        raise PowerLostError

    return ends


class Stepped(Executor):
    """Does what is queued when it is told to, one group at a time."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._stopped: Deferred[None] | None = None

    @override
    def start(self, perform: Work, deliver: Work) -> None:
        self._perform, self._deliver = perform, deliver

    @override
    def submit(self, job: Job) -> None:
        self._jobs.append(job)

    @override
    def stop(self) -> Deferred[None]:
        self._stopped = Deferred()
        return self._stopped

    def step(self) -> None:
        """One group, or the end."""
        jobs, self._jobs = self._jobs, []
        if jobs:
            self._perform(jobs)
            self._deliver(jobs)
        elif self._stopped is not None and not self._stopped.called:
            self._stopped.callback(None)

    def until(self, deferred: Deferred[Any]) -> None:
        """Work until that has fired."""
        for _ in range(1000):
            if deferred.called:
                return
            self.step()
        raise AssertionError("it never ends")


POINTS = ((private, "write"), (private, "erase"), (os, "unlink"), (Shelf, "rewrap"))


class RewrapMachine(RuleBasedStateMachine):
    """Records come and go while storage keys change, a step at a time; power is lost between
    and within steps.  What was committed opens, and one storage key is left at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.homes = 0
        self.home = Path(self.folder) / "0"
        self.period = 1
        self.incoming: dict[int, bytes] = {}
        self.pool: dict[int, bytes] = {}
        self.renewing: Deferred[bool] | None = None
        self.left: list[Store] = []
        self.batch = patch.object(transaction, "REWRAPPED", 2)
        self.batch.start()
        self.open()

    def open(self) -> None:
        executor = Stepped()
        self.store = Store.open(
            self.home / "store",
            map_size=2**24,
            in_thread=executor,
            random=SystemRandom(),
            keys=KeyStore(Kind.DISK, self.home / "keys"),
            period=self.period,
            free_reserve=0,
        )
        self.executor = executor
        assert not self.store.started.findings, self.store.started.findings

    def result(self, deferred: Deferred[Any]) -> Any:
        fired: list[Any] = []
        _ = deferred.addBoth(fired.append)
        self.executor.until(deferred)
        return fired[0]

    @rule(contents=st.lists(st.binary(min_size=1, max_size=5000), min_size=1, max_size=5))
    def take_in(self, contents):
        for content in contents:
            self.incoming[self.result(self.store.take_in(content))] = content

    @precondition(lambda self: self.incoming)
    @rule(data=st.data())
    def unwrapped(self, data):
        number = data.draw(st.sampled_from(sorted(self.incoming)))
        record = self.incoming.pop(number)
        step = Step(number, 1, os.urandom(16), Pooled(b"exit:x", 1, record))
        [verdict] = self.result(self.store.unwrapped([step]))
        self.pool[verdict] = record

    @precondition(lambda self: self.pool)
    @rule(data=st.data())
    def delete(self, data):
        number = data.draw(st.sampled_from(sorted(self.pool)))
        self.result(self.store.delete([number]))
        del self.pool[number]

    @rule(count=st.integers(0, 4))
    def renew(self, count):
        """Begin a change of keys, or go on with it, by *count* transactions."""
        if self.renewing is None or self.renewing.called:
            self.period += 1
            self.renewing = Deferred.fromCoroutine(self.store.renew_storage_key(self.period))
        for _ in range(count):
            self.executor.step()

    @rule()
    def restart(self):
        self.executor.until(self.store.close())
        self.abandon()
        self.open()

    @rule()
    def crash(self):
        """What is on disk now is all there is."""
        self.homes += 1
        after = Path(self.folder) / str(self.homes)
        shutil.copytree(self.home, after)
        self.left.append(self.store)
        self.home = after
        self.abandon()
        self.open()

    @rule(point=st.sampled_from(POINTS), before=st.booleans(), steps=st.integers(0, 4))
    def crash_within(self, point, before, steps):
        """The end comes in the middle of a change of keys, within a step."""
        self.renew(steps)
        owner, name = point
        with patch.object(owner, name, ending(getattr(owner, name), before=before)):
            try:
                for _ in range(4):
                    self.executor.step()
            except PowerLostError:
                pass
        self.crash()

    def abandon(self) -> None:
        if self.renewing is not None:
            _ = self.renewing.addErrback(lambda failure: None)
            self.renewing = None

    @invariant()
    def same(self):
        waiting = self.result(self.store.waiting())
        assert waiting.incoming == sorted(self.incoming)
        assert sorted(entry.id for entry in waiting.pooled) == sorted(self.pool)
        packets = self.result(self.store.read_incoming(sorted(self.incoming)))
        assert packets == [self.incoming[n] for n in sorted(self.incoming)]
        records = self.result(self.store.read(sorted(self.pool)))
        assert records == [self.pool[n] for n in sorted(self.pool)]
        assert self.result(self.store.counts()).damaged == 0

    def teardown(self) -> None:
        self.abandon()
        renewed = Deferred.fromCoroutine(self.store.renew_storage_key(self.period + 1))
        self.executor.until(renewed)
        names = [path.name for path in (self.home / "keys").glob("storage*")]
        self.same()
        self.batch.stop()
        for store in (self.store, *self.left):
            store._spool.close()
        shutil.rmtree(self.folder)
        assert len(names) == 1, names


class RewrapTests(StoreCase):
    """One change of keys."""

    def stepped(self) -> tuple[Store, Stepped]:
        """A store that works when it is told to."""
        executor = Stepped()
        store = Store.open(
            self.path,
            map_size=2**24,
            in_thread=executor,
            random=SystemRandom(),
            keys=self.keys,
            period=1,
            free_reserve=0,
        )
        self.addCleanup(lambda: executor.until(store.close()))
        return store, executor

    def test_machine(self):
        """Any order of operations, changes of keys and ends."""
        run_state_machine_as_test(
            RewrapMachine,
            settings=settings(
                max_examples=40, stateful_step_count=25, deadline=None, database=None
            ),
        )

    def test_others_go_on(self):
        """A change of keys is many small groups: what is asked meanwhile is done in the next."""
        store, executor = self.stepped()
        count = 3 * transaction.REWRAPPED
        for _ in range(count):
            _ = store.take_in(b"packet")
        executor.step()
        renewed = Deferred.fromCoroutine(store.renew_storage_key(2))
        turns = 0
        while not renewed.called:
            taken = store.take_in(b"packet")
            executor.step()
            self.successResultOf(taken)
            turns += 1
        self.assertGreaterEqual(turns, 5)
        self.assertTrue(self.successResultOf(renewed))

    def test_records_are_not_rewritten(self):
        """The change writes wrapped keys alone."""
        store = self.open()
        for _ in range(20):
            self.pooled(store, os.urandom(30_000))
        environment = store._spool._environment
        assert environment is not None
        before = (self.path / "data.mdb").read_bytes()
        renewed = Deferred.fromCoroutine(store.renew_storage_key(2))
        while not renewed.called:
            self.clock.advance(0)
        after = (self.path / "data.mdb").read_bytes()
        pages = range(0, max(len(before), len(after)), 4096)
        changed = [n for n in pages if before[n : n + 4096] != after[n : n + 4096]]
        self.assertLess(len(changed), 40)

    def test_nothing_to_do(self):
        """Within the period the key stays."""
        store = self.open(period=5)
        for _ in range(3):
            renewed = Deferred.fromCoroutine(store.renew_storage_key(5))
            self.assertFalse(self.result(renewed))
        self.assertEqual(
            [path.name for path in self.keys.folder.glob("storage*")], ["storage-1.key"]
        )

    def test_closed_meanwhile(self):
        """A store that closes ends it; the next start finishes it."""
        store, executor = self.stepped()
        for _ in range(2 * transaction.REWRAPPED):
            _ = store.take_in(b"packet")
        executor.step()
        renewed = Deferred.fromCoroutine(store.renew_storage_key(2))
        executor.step()
        executor.until(store.close())
        self.failureResultOf(renewed, StoreClosed)
        store = self.open(period=2)
        renewed = Deferred.fromCoroutine(store.renew_storage_key(2))
        while not renewed.called:
            self.clock.advance(0)
        self.assertTrue(self.successResultOf(renewed))
        counts = self.result(store.counts())
        self.assertEqual(counts.incoming, 2 * transaction.REWRAPPED)
