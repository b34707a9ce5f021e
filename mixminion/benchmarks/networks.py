"""``network-3`` and ``hop-latency``: servers behind one another, and one that has nothing to do.

``network-3``: three servers with a worker each on this machine, packets made beforehand, no
delay, from the first frame sent until the last packet has been unwrapped at its last hop.

``hop-latency``: one idle server, no delay; from the moment a client hands a packet to its
link until the next server has it.  One packet at a time.  Between the two stand two commits,
each synced before the next step may begin; the bound is what two bare commits of LMDB take on
the same disk, before and after the packets.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import lmdb

from mixminion.benchmarks.relay import PADDING, Program, WrongCount, expect, make_packets
from mixminion.benchmarks.sink import PACKET
from mixminion.directory.parameters import Parameters
from mixminion.testing.commands import wait_until
from mixminion.testing.network import LocalNetwork

PACKETS = 6_000
ROUNDS = 3
HOPS = 500


def run() -> list[dict[str, Any]]:
    """All rows."""
    rates = sorted(_network(PACKETS) for _ in range(ROUNDS))
    bare = _two_commits(HOPS // 2)
    times = _latency(HOPS)
    bare += _two_commits(HOPS // 2)
    return [
        _row("network-3", rates[len(rates) // 2], "packets/s"),
        _row("hop-latency", statistics.median(times), "ms", statistics.median(bare)),
        _row("hop-latency-p99", _p99(times), "ms", _p99(bare)),
    ]


def _row(name: str, value: float, unit: str, bound: float | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 2),
        "unit": unit,
        "bound": None if bound is None else round(bound, 2),
        "ratio": None if bound is None else round(value / bound, 2),
    }


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


def _two_commits(count: int) -> list[float]:
    """Milliseconds of two commits, of a packet each, one after the other."""
    times = []
    with (
        tempfile.TemporaryDirectory(prefix="mixminion-bench-") as name,
        lmdb.open(name, map_size=2**26) as environment,
    ):
        for n in range(count):
            start = time.perf_counter()
            for half in range(2):
                with environment.begin(write=True) as transaction:
                    transaction.put(b"%d" % (2 * (n % 100) + half), bytes(PACKET))
            times.append((time.perf_counter() - start) * 1e3)
    return times


def _network(packets: int) -> float:
    with tempfile.TemporaryDirectory(prefix="mixminion-bench-") as name:
        network = LocalNetwork(Path(name), mixes=3, parameters=no_delay())
        network.make()
        files = make_packets(network, [mix.nickname for mix in network.mixes], packets)
        for mix in network.mixes:
            mix.start()
        last = network.mixes[-1]

        def arrived() -> int:
            return int(last.ask("status")["counters"].get("drop-cover", 0))

        try:
            with Program("source", name, "mix1", str(PADDING), *files) as source:
                started = float(expect(source, "started"))
                wait_until(lambda: arrived() >= packets, 120.0, "packets are missing")
                took = time.monotonic() - started
                expect(source, "acknowledged")
            sent = [mix.ask("status")["counters"].get("sent", 0) for mix in network.mixes]
        finally:
            network.stop()
    if sent != [packets, packets, 0]:
        raise WrongCount(f"sent: {sent}")
    return packets / took


def _latency(count: int) -> list[float]:
    """Milliseconds of each packet."""
    with tempfile.TemporaryDirectory(prefix="mixminion-bench-") as name:
        network = LocalNetwork(Path(name), mixes=2, parameters=no_delay())
        network.make()
        files = make_packets(network, ["mix1", "mix2"], count)
        server, sink = network.mixes
        server.start()
        try:
            with Program("hops", name, str(sink.home), sink.address, *files) as hops:
                times = [float(word) for word in expect(hops, "milliseconds").split()]
        finally:
            network.stop()
    if len(times) != count:
        raise WrongCount(f"{len(times)} packets of {count}")
    return times


def no_delay() -> Parameters:
    """A network whose packets are held as little as can be."""
    return Parameters(mean_delay_ms=1, tick_ms=1, mix_loops_per_hour=0)
