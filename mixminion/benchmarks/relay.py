"""``relay-1``: one server with one worker, as an operator runs it, between a source and a sink.

Counted is what goes the whole way: received over TLS, fsynced, acknowledged, unwrapped,
tagged, pooled, sent on over TLS, acknowledged by the sink, deleted.  Packets have 32,768
octets, suite xwing, no delay; they are distinct and made beforehand; two frames in a
hundred are padding.  Source, server, worker and sink are four processes.  The store's
contents are counted at the end.
"""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from typing_extensions import override

from mixminion.directory.parameters import Parameters
from mixminion.testing.commands import PYTHON, answers, wait_until
from mixminion.testing.network import LocalNetwork, Mix

PACKETS = 12_000
PADDING = 50  #: a padding frame after so many packets
ROUNDS = 3
MAKERS = 2


class WrongCount(Exception):
    """A benchmark whose packets are not all where they belong."""


def run(packets: int = PACKETS, rounds: int = ROUNDS, workers: int = 1) -> list[dict[str, Any]]:
    """The row."""
    rates = sorted(round_of(packets, workers) for _ in range(rounds))
    return [
        {
            "name": f"relay-{workers}",
            "value": round(rates[len(rates) // 2], 1),
            "unit": "packets/s",
            "bound": None,
            "ratio": None,
            "rounds": [round(rate, 1) for rate in rates],
        }
    ]


def round_of(packets: int, workers: int, alteration: str | None = None) -> float:
    """Packets a second of one fresh server; *alteration* is one of
    :mod:`mixminion.benchmarks.altered`."""
    parameters = Parameters(mean_delay_ms=1, tick_ms=1, mix_loops_per_hour=0)
    with tempfile.TemporaryDirectory(prefix="mixminion-bench-") as name:
        network = LocalNetwork(Path(name), mixes=2, workers=workers, parameters=parameters)
        network.make()
        server, sink = network.mixes
        made = make_packets(network, ["mix1", "mix2"], packets)
        altered = start(server, alteration)
        try:
            with altered, Program("sink", str(sink.home), sink.address, str(packets)) as sinking:
                expect(sinking, "listening")
                with Program("source", str(network.folder), "mix1", str(PADDING), *made) as source:
                    started = float(expect(source, "started"))
                    ended = float(expect(sinking, "complete"))
                    expect(source, "acknowledged")
                check(server.ask, packets)
        finally:
            network.stop()
    return packets / (ended - started)


def start(server: Mix, alteration: str | None) -> AbstractContextManager[Any]:
    """Start the server, and wait until it is ready; leaving the context ends an altered one."""
    if alteration is None:
        server.start()
        return nullcontext()
    altered = Program("altered", alteration, str(server.home))
    wait_until(lambda: server.pid and answers(server.address), 20.0, "the server does not start")
    wait_until(lambda: server.ask("status")["ready"], 20.0, "the server is not ready")
    return altered


def check(ask: Any, packets: int) -> None:
    """Wait until the server has nothing left, and count."""

    def empty() -> bool:
        held = ask("status")["store"]
        return not held["incoming"] and not held["pooled"]

    wait_until(empty, 20.0, "packets are left in the store")
    status = ask("status")
    counters, tags = status["counters"], status["store"]["tags"]
    found = (counters["received"], counters["pooled"], counters["sent"], tags)
    if found != (packets,) * 4 or not counters.get("padding"):
        raise WrongCount(f"received, pooled, sent, tags: {found}; wanted {packets} each")


def make_packets(network: LocalNetwork, path: list[str], count: int) -> list[str]:
    """Files of packets along *path*, made by a process for each core."""
    files = [str(network.folder / f"packets-{n}") for n in range(MAKERS)]
    makers = [
        Program("packets", str(network.folder), ",".join(path), str(count // MAKERS), file)
        for file in files
    ]
    for maker in makers:
        if maker.wait():
            raise WrongCount("packets could not be made")
    return files


class Program(subprocess.Popen[str]):
    """A process of this room; leaving its context ends it."""

    def __init__(self, name: str, *arguments: str) -> None:
        super().__init__(
            [*PYTHON, "-m", f"mixminion.benchmarks.{name}", *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )

    @override
    def __exit__(self, *exception: Any) -> None:
        self.kill()
        super().__exit__(*exception)


def expect(process: subprocess.Popen[str], word: str) -> str:
    """The rest of the line that begins with *word*."""
    assert process.stdout is not None
    for line in process.stdout:
        first, _, rest = line.strip().partition(" ")
        if first == word:
            return rest
    raise WrongCount(f"{process.args!r} ended without {word!r}")
