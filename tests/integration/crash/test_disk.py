"""The store under a disk that forgets what was not synced, and what happens to a wrong one."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lmdb
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mixminion.errors import MixminionError
from mixminion.store import REPLAY, InlineExecutor, Step, Store
from mixminion.testing.cases import SyncTestCase
from tests.integration.crash.disk import Disk
from tests.integration.crash.storing import KEY, octets, open_store, tag

ROUNDS = 4
PATIENCE = 30  #: rounds in which a wrong store has to be found out
LINES = 400  #: a process is killed after so many, at most


@dataclass
class Promised:
    """What the processes have said so far."""

    taken: set[int] = field(default_factory=set)
    deleting: set[int] = field(default_factory=set)

    def hear(self, lines: list[bytes]) -> None:
        for line in lines:
            what, n = line.split()
            if what == b"taken":
                self.taken.add(int(n))
            elif what == b"deleting":
                self.deleting.add(int(n))


@dataclass
class Found:
    """What is wrong with a store after a crash: numbers of packets, and how many have changed."""

    lost: set[int] = field(default_factory=set)
    doubled: set[int] = field(default_factory=set)
    untagged: set[int] = field(default_factory=set)
    changed: int = 0
    unreadable: str = ""

    def __bool__(self) -> bool:
        return self != Found()


def look(home: Path, promised: Promised) -> Found:
    """Compare what is in a home, a copy of it, with what was promised."""
    if not (home / "store").exists():
        return Found(lost=promised.taken - promised.deleting)
    copy = home.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(home, copy)
    clock = Clock()
    try:
        store = open_store(copy / "store", InlineExecutor(clock))
    except (MixminionError, lmdb.Error) as error:
        return Found(unreadable=str(error))
    try:
        return _look(store, clock, promised)
    except (MixminionError, lmdb.Error) as error:
        return Found(unreadable=str(error))
    finally:
        _ = store.close()
        clock.advance(0)


def _look(store: Store, clock: Clock, promised: Promised) -> Found:
    def result(deferred: Deferred[Any]) -> Any:
        results: list[Any] = []
        _ = deferred.addBoth(results.append)
        clock.advance(0)
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]

    held = result(store.waiting())
    records = result(store.read([entry.id for entry in held.pooled]))
    packets = result(store.read_incoming(held.incoming))
    pool = Counter(int.from_bytes(record[:8]) for record in records)
    incoming = {int.from_bytes(packet[:8]) for packet in packets}
    numbers = sorted(promised.taken | set(pool) | incoming)
    # A tag is there when a packet with it is a replay.
    trials = [result(store.take_in(b"a trial")) for _ in numbers]
    steps = [Step(id, KEY, tag(n)) for id, n in zip(trials, numbers, strict=True)]
    verdicts = zip(numbers, result(store.unwrapped(steps)), strict=True)
    tagged = {n for n, verdict in verdicts if verdict is REPLAY}
    whole = {octets(b"packet", n) for n in incoming} | {octets(b"record", n) for n in pool}
    return Found(
        lost=promised.taken - (incoming - tagged) - set(pool) - promised.deleting,
        doubled={n for n, times in pool.items() if times > 1},
        untagged=set(pool) - tagged,
        changed=sum(one not in whole for one in (*records, *packets)),
    )


class DiskTests(SyncTestCase):
    """A process with a store is killed again and again, each time with a power loss."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        (self.folder / "home").mkdir(parents=True, mode=0o700)
        self.seed = int(os.environ.get("CRASH_SEED", "1"))

    def _rounds(self, *, swallow: bool = False, fault: str = "", torn: bool = False) -> Found:
        """Rounds of work, kill, power loss; what is wrong after the first bad one."""
        disk = Disk(self.folder, self.folder.with_name("shadow"), swallow=swallow)
        dice = random.Random(self.seed)
        promised = Promised()
        self.thrown_away = 0
        for n in range(PATIENCE if fault or swallow else ROUNDS):
            promised.hear(self._work(disk, n * 10**6, fault, dice))
            self.thrown_away += disk.lose(self.folder / "home", dice if torn else None)
            found = look(self.folder / "home", promised)
            if found:
                return found
        self.assertGreater(len(promised.taken), 100)
        self.assertGreater(len(promised.deleting), 0)
        return Found()

    def _work(self, disk: Disk, first: int, fault: str, dice: random.Random) -> list[bytes]:
        """A process, killed when it has said so much; what it said."""
        lines = dice.randrange(LINES // 4, LINES)
        command: list[Any] = [sys.executable, "-m", "tests.integration.crash.storing"]
        command += [self.folder.resolve() / "home" / "store", str(first)]
        command += ["--fault", fault] if fault else []
        child = subprocess.Popen(
            command,
            env=os.environ | disk.environment,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        assert child.stdout is not None
        with child, child.stdout:
            heard = [child.stdout.readline() for _ in range(lines)]
            time.sleep(dice.uniform(0.0, 0.02))  # anywhere in a group's work
            child.kill()
            heard += child.stdout.readlines()
        if heard[0] == b"":
            self.fail("the process ended by itself")
        return [line for line in heard if line.endswith(b"\n")]

    def test_what_was_promised_survives_a_power_loss(self) -> None:
        """Nothing lost, doubled or untagged, though writes were thrown away."""
        self.assertFalse(self._rounds())
        self.assertGreater(self.thrown_away, 0)

    def test_a_torn_disk(self) -> None:
        """Of the writes that were not synced any may have survived."""
        self.assertFalse(self._rounds(torn=True))
        self.assertGreater(self.thrown_away, 0)

    def test_without_syncing_it_turns_red(self) -> None:
        """The disk says yes and does nothing."""
        self.assertTrue(self._rounds(swallow=True).lost)

    def test_when_the_store_does_not_sync_it_turns_red(self) -> None:
        """LMDB is told not to."""
        found = self._rounds(fault="unsynced")
        self.assertTrue(found.lost or found.unreadable)

    def test_a_tag_in_a_later_transaction_turns_red(self) -> None:
        """A packet that comes again is pooled again."""
        self.assertTrue(self._rounds(fault="tag-later").untagged)

    def test_a_tag_in_an_earlier_transaction_turns_red(self) -> None:
        """A packet is taken for its own replay."""
        self.assertTrue(self._rounds(fault="tag-earlier").lost)
