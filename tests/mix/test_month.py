"""A month of a network: key periods, suites and servers change while messages are sent.

Whatever changes, every client can build a path at any moment, no packet is refused for its key, and
each message arrives once.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mixminion.client.client import Client
from mixminion.client.errors import NotHandedOver
from mixminion.client.packets import Letter, make
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.mix.keys import periods_in
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import START, WrongClock
from mixminion.testing.collector import EXIT
from mixminion.testing.signings import changing
from mixminion.testing.virtual import VirtualNetwork
from mixminion.testing.virtualmix import VirtualMix

MINUTE, HOUR, DAY, WEEK = 60, 3_600, 86_400, 604_800
PARAMETERS = Parameters(
    mean_delay_ms=120_000,
    delay_cap_ms=600_000,
    tick_ms=1_000,
    consensus_interval=6 * HOUR,
    consensus_fresh=6 * HOUR,
    consensus_valid=18 * HOUR,
    mix_loops_per_hour=0,
)
XWING = PacketGeometry.make("xwing", packet=16_384)
X25519 = PacketGeometry.make("x25519", commands=304, packet=16_384)
FIRST = int(START) // WEEK
BORDERS = [(FIRST + n) * WEEK for n in range(1, 5)]
"""The suite changes at the second, and back at the third."""
MEMORY = Path("/dev/shm")
"""Where files cost no time, if there is such a place: a month has many thousand commits."""
CLOCKS = {"right": 0.0, "ahead": 9.0 * MINUTE, "behind": -9.0 * MINUTE}
"""What is wrong with the senders' clocks: as much as is borne."""


class Month:
    """A dozen mixes, three senders, and what happens to them."""

    def __init__(self, folder: Path) -> None:
        self.network = VirtualNetwork(
            folder,
            12,
            parameters=PARAMETERS,
            schedule=changing(XWING, {FIRST + 2: X25519, FIRST + 3: XWING}),
        )
        self.clock = self.network.clock
        self.texts: list[bytes] = []
        self.kept = 0
        self.faults: list[Failure] = []
        self.paths: Counter[int] = Counter()
        self.left = 0
        self.clients = [
            self.network.client(name, WrongClock(self.clock, wrong))
            for name, wrong in CLOCKS.items()
        ]

    def begin(self) -> None:
        """Start everything, and plan the month."""
        self.network.start()
        self.network.signer.start()
        for client in self.clients:
            client.keep_updated()
        for hours in range(1, 30 * 24, 3):
            self.at(START + hours * HOUR, lambda: self.send(self.clients[0]))
        for border in BORDERS:
            for minutes in range(-14, 16, 2):
                for client in self.clients:
                    self.at(border + minutes * MINUTE, lambda client=client: self.send(client))
            for minutes in (-1, 1):
                self.at(border + minutes, self.build)
        self.plan()
        for hours in range(2, 32 * 24, 4):
            self.at(START + hours * HOUR, self.flush)
            self.at(START + hours * HOUR, self.build)

    def at(self, moment: float, call: Any) -> None:
        """Have it happen."""
        self.clock.callLater(moment - self.clock.seconds(), call)

    def end(self) -> None:
        """Stop everything."""
        for client in self.clients:
            self.result(client.close())
        self.network.signer.stop()
        self.network.stop()

    # -- the senders -----------------------------------------------------------------------------

    def send(self, client: Client) -> None:
        """One message; one that is not handed over is kept, and sent later."""
        text = b"message %d" % len(self.texts)
        self.texts.append(text)
        self.run(self._send(client, text))

    async def _send(self, client: Client, text: bytes) -> None:
        try:
            await client.send(f"{EXIT}:bob", text)
        except NotHandedOver:
            self.kept += 1

    def flush(self) -> None:
        """Try again what is kept."""
        for client in self.clients:
            self.run(client.flush())

    def result(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What comes of it."""
        return self.clock.result_of(Deferred.fromCoroutine(work))

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        _ = Deferred.fromCoroutine(work).addErrback(self.faults.append)

    def build(self) -> None:
        """Paths and packets with every consensus that somebody may hold."""
        now = self.clock.seconds()
        for signed in self.network.signer.signings.valid(now):
            letter = Letter(EXIT, ("bob",), (b"text",), "")
            built = make(signed.view(), letter, now, self.network.random)
            self.paths[len(built.path)] += 1

    # -- the servers -----------------------------------------------------------------------------

    def plan(self) -> None:
        """Servers join, leave, are restarted, killed, and down for most of a day round a border."""
        mixes = self.network.mixes
        for day in (2, 10, 23):
            self.at(START + day * DAY, self.network.join)
        for day, mix in ((4, mixes[1]), (16, mixes[4]), (21, mixes[7])):
            self.at(START + day * DAY, lambda mix=mix: self.leave(mix))
        self.at(BORDERS[0] + HOUR, lambda: self.restart(mixes[2]))
        self.at(BORDERS[1] - 30 * MINUTE, mixes[3].stop)
        self.at(BORDERS[1] + 20 * HOUR, mixes[3].start)
        self.at(BORDERS[1] + 2 * HOUR, lambda: self.restart(mixes[4]))
        self.at(BORDERS[2] - MINUTE, mixes[5].kill)
        self.at(BORDERS[2] + MINUTE, mixes[5].start)
        self.at(BORDERS[2] + 12 * HOUR, lambda: self.restart(mixes[12]))

    def leave(self, mix: VirtualMix) -> None:
        """Be listed no longer, and stop when the last packet has come."""
        self.network.leave(mix)
        wait = PARAMETERS.consensus_valid + PARAMETERS.key_grace
        self.at(self.clock.seconds() + wait, lambda: self.gone(mix))

    def gone(self, mix: VirtualMix) -> None:
        """It stops, with nothing left."""
        assert mix.server is not None
        self.left += len(mix.server.pool) + sum(mix.server.outgoing.waiting().values())
        mix.stop()

    @staticmethod
    def restart(mix: VirtualMix) -> None:
        """Stop it in order, and start it."""
        mix.stop()
        mix.start()


class MonthTests(SyncTestCase):
    """See the module."""

    def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.addCleanup(shutil.rmtree, folder)
        self.month = Month(folder)
        self.addCleanup(self.month.end)

    def test_month(self) -> None:
        """Four borders, xwing to x25519 and back; servers come, go, restart and fail."""
        month = self.month
        month.begin()
        self.assert_both_keys(BORDERS[1], FIRST + 1)
        self.assert_both_keys(BORDERS[2], FIRST + 2)
        month.clock.run_until(START + 32 * DAY)
        self.assertEqual(month.faults, [])
        self.assertEqual(set(month.paths), {PARAMETERS.hops})
        self.assertTrue(month.paths.total() > 500, month.paths)
        self.assertTrue(month.kept, "nothing was kept while an entry was down")
        self.assertEqual([month.result(client.waiting()) for client in month.clients], [[]] * 3)
        arrived = [m.content for mix in month.network.mixes for m in mix.exit.messages]
        self.assertEqual(Counter(arrived), Counter(month.texts))
        self.assertEqual(month.left, 0)
        for mix in month.network.mixes:
            self.assert_sound(mix)

    def assert_both_keys(self, border: int, last: int) -> None:
        """An hour after *border* mixes have opened packets with the keys of both periods."""
        self.month.clock.run_until(border + HOUR)
        both = 0
        for mix in self.month.network.mixes:
            if mix.server is not None:
                held = self.month.clock.result_of(mix.server.store.waiting())
                both += {last, last + 1} <= set(held.tag_keys)
        self.assertTrue(both > 6, both)

    def assert_sound(self, mix: VirtualMix) -> None:
        """It was used, dropped nothing, and has no old keys."""
        counted = mix.counters.snapshot()
        self.assertTrue(counted["pooled"], mix.nickname)
        wrong = {"expired", "link-refused", "replayed", *(n for n in counted if "drop" in n)}
        self.assertEqual({n: counted[n] for n in wrong if counted.get(n)}, {}, mix.nickname)
        if mix.server is not None:
            counts = self.month.clock.result_of(mix.server.store.counts())
            self.assertEqual((counts.incoming, counts.pooled), (0, 0))
            self.assertEqual(list(mix.server.complaints()), [])
            self.assertEqual(periods_in(mix.folder / "keys"), [FIRST + n for n in (4, 5, 6)])
