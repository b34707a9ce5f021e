"""A month of a whole network that keeps itself, while messages are sent.

Servers join, leave, fail and renew their keys, an authority is away, and the packet suite changes
and changes back.  Whatever happens, every client can build a path at any moment, no packet is
refused for its key, each message arrives once, and for each instant there is one directory.

With ``MIXMINION_HOURLY`` in the environment there is a consensus every hour, as in a real network,
and the month takes some minutes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mixminion.client.client import Client
from mixminion.client.errors import NotHandedOver
from mixminion.client.packets import Letter, make
from mixminion.crypto import kdf
from mixminion.directory.consensus import LIMIT
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.mix.keys import periods_in
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import START, WrongClock
from mixminion.testing.collector import EXIT
from mixminion.testing.virtualmix import VirtualMix
from mixminion.testing.voted import VotedNetwork

MINUTE, HOUR, DAY, WEEK = 60, 3_600, 86_400, 604_800
INTERVAL = HOUR if "MIXMINION_HOURLY" in os.environ else DAY
NETWORK = f"""\
consensus-interval = {INTERVAL} s
consensus-fresh = {INTERVAL} s
consensus-valid = {3 * INTERVAL} s
mean-delay-ms = 120000
delay-cap-ms = 600000
tick-ms = 1000
"""
ADMISSION = """\
policy = open
waiting-time = 1 day
exit-waiting-time = 0 s
dial-every = 1 day
"""
FIRST = int(START) // WEEK
BORDERS = [(FIRST + n) * WEEK for n in range(1, 5)]
"""The suite changes at the third, and back at the fourth."""
CHANGE = f"suite-from = x25519 {FIRST + 3}\n"
"""Announced before that period is listed for the first time."""
BACK = f"suite = x25519\nsuite-from = xwing {FIRST + 4}\n"
"""In a hurry: that one is listed already, and begins in six days."""
END = START + 32 * DAY
MEMORY = Path("/dev/shm")
"""Where files cost no time, if there is such a place: a month has many thousand commits."""
CLOCKS = {"right": 0.0, "ahead": 9.0 * MINUTE, "behind": -9.0 * MINUTE}
"""What is wrong with the senders' clocks: as much as is borne."""


class Month:
    """Five authorities, a dozen mixes, three senders, and what happens to them."""

    def __init__(self, folder: Path) -> None:
        self.network = VotedNetwork(folder, 12, network=NETWORK, admission=ADMISSION)
        self.clock = self.network.clock
        self.texts: list[bytes] = []
        self.faults: list[Failure] = []
        self.paths: Counter[int] = Counter()
        self.left = 0
        self.digests: defaultdict[int, set[bytes]] = defaultdict(set)
        """Of all directories that somebody had, by valid-after."""

    def begin(self) -> None:
        """Start everything, and plan the month."""
        network = self.network
        network.start()
        self.clocks = {name: WrongClock(self.clock, wrong) for name, wrong in CLOCKS.items()}
        self.clients = {name: network.client(name, clock) for name, clock in self.clocks.items()}
        for client in self.clients.values():
            client.keep_updated()
        begun = self.clock.seconds()
        self.every(8 * HOUR, lambda: self.send(self.clients["right"]), until=30 * DAY)
        self.every(6 * HOUR, self.look)
        self.every(4 * HOUR, self.flush)
        for border in BORDERS:
            for minutes in range(-14, 16, 4):
                for client in self.clients.values():
                    self.at(border + minutes * MINUTE, partial(self.send, client))
            for seconds in (-9 * MINUTE, -1, 1, 9 * MINUTE):
                self.at(border + seconds, self.look)
        self.plan()
        assert begun < START + 2 * DAY, begun

    def at(self, moment: float, call: Callable[[], object]) -> None:
        """Have it happen."""
        self.clock.callLater(moment - self.clock.seconds(), call)

    def every(self, seconds: float, call: Callable[[], object], until: float = 32 * DAY) -> None:
        """Have it happen again and again."""
        moment = self.clock.seconds() + seconds
        while moment < START + until:
            self.at(moment, call)
            moment += seconds

    def end(self) -> None:
        """Stop everything."""
        for client in self.clients.values():
            self.network.result(client.close())
        self.network.stop()

    # -- the senders -----------------------------------------------------------------------------

    def send(self, client: Client) -> None:
        """One message; one that is not handed over is kept, and sent later."""
        text = b"message %d" % len(self.texts)
        self.texts.append(text)
        self.run(self._send(client, text))

    async def _send(self, client: Client, text: bytes) -> None:
        with contextlib.suppress(NotHandedOver):
            await client.send(f"{EXIT}:bob", text)

    def flush(self) -> None:
        """Try again what is kept."""
        for client in self.clients.values():
            self.run(client.flush())

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let it take its time."""
        _ = Deferred.fromCoroutine(work).addErrback(self.faults.append)

    # -- what everybody has ----------------------------------------------------------------------

    def look(self) -> None:
        """A path and a packet for each sender; and which directories there are."""
        for name, client in self.clients.items():
            self.run(self._build(client, self.clocks[name]))
        caches = [each.cache for each in self.network.servers]
        caches += [mix.cache for mix in self.network.mixes if mix.server is not None]
        for cache in caches:
            for known in cache.known:
                self.digests[known.valid_after].add(known.digest)

    async def _build(self, client: Client, clock: WrongClock) -> None:
        view = await client.view()
        letter = Letter(EXIT, ("bob",), (b"text",), "")
        self.paths[len(make(view, letter, clock.seconds(), self.network.random).path)] += 1
        payload = Envelope.decode(await client.held(), PayloadType.CONSENSUS, limit=LIMIT).payload
        self.digests[view.consensus.valid_after].add(kdf.sha256(payload))

    # -- what happens ----------------------------------------------------------------------------

    def plan(self) -> None:
        """Servers and authorities come, go, fail, renew their keys, and are told something new."""
        network, mixes = self.network, self.network.mixes
        authorities = network.voters.all
        day = {n: START + n * DAY for n in range(33)}
        self.at(day[3], lambda: network.configure(network=NETWORK + CHANGE))
        self.at(day[4], self.join_approved)
        for n in (10, 23):
            self.at(day[n], network.join)
        for n, mix in ((5, mixes[1]), (16, mixes[4])):
            self.at(day[n], partial(self.leave, mix))
        for n, mix in ((6, mixes[6]), (14, mixes[7]), (21, mixes[8])):
            self.at(day[n], partial(self.renew, mix))
        self.at(day[9], authorities[4].stop)
        self.at(day[12], authorities[4].start)
        self.at(day[14], authorities[2].certify)
        self.at(day[20], authorities[3].stop)
        self.at(day[20] + HOUR, lambda: network.configure(network=NETWORK + BACK))
        self.at(day[21], authorities[3].start)
        self.at(BORDERS[0] + HOUR, lambda: self.restart(mixes[2]))
        self.at(BORDERS[2] - 30 * MINUTE, mixes[3].stop)
        self.at(BORDERS[2] + 20 * HOUR, mixes[3].start)
        self.at(BORDERS[2] + 2 * HOUR, lambda: self.restart(mixes[9]))
        self.at(BORDERS[3] - MINUTE, mixes[5].kill)
        self.at(BORDERS[3] + MINUTE, mixes[5].start)
        self.at(BORDERS[3] + 12 * HOUR, lambda: self.restart(mixes[12]))

    def join_approved(self) -> None:
        """One more mix, which three of five operators let in without waiting."""
        mix = self.network.join()
        self.at(self.clock.seconds() + HOUR, lambda: self.network.approve(mix, 3))

    def leave(self, mix: VirtualMix) -> None:
        """Be listed no longer, and stop when the last packet has come."""
        self.network.leave(mix)
        parameters = self.network.view.parameters
        wait = 2 * INTERVAL + parameters.consensus_valid + parameters.key_grace
        self.at(self.clock.seconds() + wait, lambda: self.gone(mix))

    def gone(self, mix: VirtualMix) -> None:
        """It stops, with nothing left."""
        assert mix.server is not None
        self.left += len(mix.server.pool) + sum(mix.server.outgoing.waiting().values())
        mix.stop()

    def renew(self, mix: VirtualMix) -> None:
        """It gets another signing key, and is started again."""
        mix.certify()
        self.restart(mix)

    @staticmethod
    def restart(mix: VirtualMix) -> None:
        """Stop it in order, and start it."""
        mix.stop()
        mix.start()


class MonthTests(SyncTestCase):
    """See the module."""

    def test_month(self) -> None:
        """Four borders, xwing to x25519 and back."""
        folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.addCleanup(shutil.rmtree, folder)
        self.month = month = Month(folder)
        month.begin()
        self.addCleanup(month.end)
        for border, last in ((BORDERS[2], FIRST + 2), (BORDERS[3], FIRST + 3)):
            month.clock.run_until(border + HOUR)
            self.assert_both_keys(last)
        month.clock.run_until(END)
        self.assertEqual(month.faults, [])
        self.assertEqual(set(month.paths), {month.network.view.parameters.hops})
        self.assertTrue(month.paths.total() > 300, month.paths)
        for client in month.clients.values():
            self.assertEqual(month.network.result(client.waiting()), [])
        arrived = [m.content for mix in month.network.mixes for m in mix.exit.messages]
        self.assertEqual(Counter(arrived), Counter(month.texts))
        self.assertEqual(month.left, 0)
        self.assert_one_directory()
        for mix in month.network.mixes:
            self.assert_sound(mix)

    def assert_both_keys(self, last: int) -> None:
        """Mixes have opened packets with the keys of both periods, *last* and the next."""
        both = 0
        for mix in self.month.network.mixes:
            if mix.server is not None:
                held = self.month.clock.result_of(mix.server.store.waiting())
                both += {last, last + 1} <= set(held.tag_keys)
        self.assertTrue(both > 6, both)

    def assert_one_directory(self) -> None:
        """For each instant of the month, and the same for everybody who had one."""
        digests = self.month.digests
        self.assertEqual({at: len(found) for at, found in digests.items() if len(found) > 1}, {})
        self.assertEqual(sorted(digests), list(range(min(digests), max(digests) + 1, INTERVAL)))
        self.assertTrue(max(digests) > END - 2 * INTERVAL)

    def assert_sound(self, mix: VirtualMix) -> None:
        """It was used, dropped nothing, and has no old keys; all authorities list it."""
        counted = mix.counters.snapshot()
        self.assertTrue(counted["pooled"], mix.nickname)
        wrong = {"expired", "replayed", *(n for n in counted if "drop" in n)}
        self.assertEqual({n: counted[n] for n in wrong if counted.get(n)}, {}, mix.nickname)
        if mix.server is not None:
            counts = self.month.clock.result_of(mix.server.store.counts())
            self.assertEqual((counts.incoming, counts.pooled), (0, 0))
            self.assertEqual(list(mix.server.complaints()), [])
            self.assertEqual(periods_in(mix.folder / "keys"), [FIRST + n for n in (4, 5, 6)])
            assert mix.publishing is not None
            states = [each["state"] for each in mix.publishing.status()]
            self.assertEqual(states, ["listed"] * 5, mix.nickname)
