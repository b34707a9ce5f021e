"""Any order of operations, against a model that is three dictionaries."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

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
from twisted.internet.task import Clock

from mixminion.crypto.rng import SystemRandom
from mixminion.disk.keystore import KeyStore, Kind
from mixminion.store import (
    DROPPED,
    GONE,
    REPLAY,
    Entry,
    InlineExecutor,
    Pooled,
    Step,
    Store,
    Verdict,
)
from mixminion.testing.cases import SyncTestCase

TAGS = st.integers(0, 20).map(lambda n: n.to_bytes(16))


class StoreMachine(RuleBasedStateMachine):
    """Operations are queued and flushed in groups of any size; the store is closed and opened
    again at any moment.  What was promised is there, once."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.clock = Clock()
        self.incoming: dict[int, bytes] = {}
        self.pool: dict[int, Pooled] = {}
        self.tags: set[tuple[int, bytes]] = set()
        self.taken: list[int] = []
        self.open()

    def open(self) -> None:
        self.store = Store.open(
            Path(self.folder) / "store",
            map_size=2**24,
            in_thread=InlineExecutor(self.clock),
            random=SystemRandom(),
            keys=KeyStore(Kind.DISK, Path(self.folder) / "keys"),
            period=1,
            free_reserve=0,
        )

    def result(self, deferred: Deferred[Any]) -> Any:
        fired: list[Any] = []
        watched = deferred.addBoth(fired.append)
        self.clock.advance(0)
        assert watched.called
        return fired[0]

    @rule(contents=st.lists(st.binary(min_size=1, max_size=5000), max_size=4))
    def take_in(self, contents):
        taken: list[int] = []
        waiting = [self.store.take_in(packet).addCallback(taken.append) for packet in contents]
        self.clock.advance(0)
        assert all(each.called for each in waiting)
        assert not set(taken) & set(self.incoming)
        self.incoming.update(zip(taken, contents, strict=True))
        self.taken += taken

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def unwrapped(self, data):
        """Steps for packets that are there, that were, or twice; tags new, old, or none."""
        drawn = st.tuples(
            st.sampled_from(self.taken),
            st.integers(1, 3),
            st.none() | TAGS,
            st.none() | st.binary(min_size=1, max_size=5000),
        )
        steps = []
        for incoming, key, tag, record in data.draw(st.lists(drawn, max_size=6)):
            pooled = None if record is None else Pooled(b"exit:x", key * 1000, record)
            steps.append(Step(incoming, key, tag, pooled))
        verdicts = self.result(self.store.unwrapped(steps))
        for step, verdict in zip(steps, verdicts, strict=True):
            expected = self.expected(step)
            if expected is None:
                assert isinstance(verdict, int) and verdict not in self.pool and step.pooled
                self.pool[verdict] = step.pooled
            else:
                assert verdict is expected

    def expected(self, step: Step) -> Verdict | None:
        """What the model says; None for a new record."""
        if self.incoming.pop(step.incoming, None) is None:
            return GONE
        if step.tag is None or step.key is None:
            return DROPPED
        if (step.key, step.tag) in self.tags:
            return REPLAY
        self.tags.add((step.key, step.tag))
        return DROPPED if step.pooled is None else None

    @precondition(lambda self: self.pool)
    @rule(data=st.data())
    def delete(self, data):
        ids = data.draw(st.lists(st.sampled_from(sorted(self.pool)), max_size=3))
        self.result(self.store.delete(ids))
        for record_id in ids:
            self.pool.pop(record_id, None)

    @rule(key=st.integers(1, 3))
    def drop_tags(self, key):
        self.result(self.store.drop_tags(key))
        self.tags = {(k, tag) for k, tag in self.tags if k != key}

    @rule()
    def reopen(self):
        self.result(self.store.close())
        self.open()

    @invariant()
    def same(self):
        waiting = self.result(self.store.waiting())
        assert waiting.incoming == sorted(self.incoming)
        contents = self.result(self.store.read_incoming(waiting.incoming))
        assert dict(zip(waiting.incoming, contents, strict=True)) == self.incoming
        entries = [Entry(n, p.due_ms, p.destination) for n, p in sorted(self.pool.items())]
        assert waiting.pooled == entries
        records = self.result(self.store.read(sorted(self.pool)))
        assert records == [pooled.record for _, pooled in sorted(self.pool.items())]
        assert self.result(self.store.counts()).tags == len(self.tags)

    def teardown(self) -> None:
        self.result(self.store.close())
        shutil.rmtree(self.folder)


class MachineTests(SyncTestCase):
    """Any order of operations."""

    def test_machine(self):
        """Nothing is lost, nothing is doubled, no tag is forgotten or invented."""
        run_state_machine_as_test(
            StoreMachine,
            settings=settings(
                max_examples=25, stateful_step_count=20, deadline=None, database=None
            ),
        )
