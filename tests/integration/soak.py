"""``python -m tests.integration.soak [--minutes N]``: a long run under load and faults.

Five mixes and an SMTP server, all processes, carry a steady load while peers, workers, links
and the SMTP server die and come back.  Two mixes are never killed: of these the anonymous
memory, open descriptors and size of the store are written down each minute, and have to be
flat, but for the tags, which stay as long as their key.  At the end every mail must have arrived.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from mixminion import api
from mixminion.testing.commands import wait_until
from mixminion.testing.network import LocalNetwork, Mix

RATE = 8.0
"""Mails a second."""

FAULT = 15.0
"""Seconds between two faults."""

SAMPLE = 60.0
WARM = 5
"""Minutes that are not judged: caches fill, the store finds its size."""

SPARED = ("mix1", "mix5")
GROWTH = 0.10
"""How much the last third of the samples may lie above the first, in the median."""


TAG = 64
"""Octets of the store that a tag may take; 46 is what it takes on average."""

BESIDES = 4 * 2**20
"""Octets of the store that packets and free pages may take besides the tags."""


class Soak:
    """One run."""

    def __init__(self, reactor: Any, network: LocalNetwork, client: api.Client) -> None:
        self._reactor = reactor
        self._network = network
        self._client = client
        self._sent = 0
        self._faults = 0
        self._samples: dict[str, list[dict[str, int]]] = {name: [] for name in SPARED}
        self._random = random.Random(7)

    async def run(self, seconds: float) -> int:
        """The exit code."""
        end = self._reactor.seconds() + seconds
        loops = [self._until(end, 1 / RATE, self._send), self._until(end, FAULT, self._fault)]
        loops.append(self._until(end, SAMPLE, self._sample))
        for running in [Deferred.fromCoroutine(loop) for loop in loops]:
            await running
        for mix in self._network.mixes:
            if mix.pid is None:
                await deferToThread(mix.start)
        await self._flush()
        missing = await self._missing()
        say(f"{self._sent} mails, {self._faults} faults, {missing} missing")
        return 1 if missing or not self._flat() else 0

    async def _until(self, end: float, pause: float, work: Callable[[], Any]) -> None:
        while self._reactor.seconds() < end:
            start = self._reactor.seconds()
            await work()
            rest = pause - (self._reactor.seconds() - start)
            await task.deferLater(self._reactor, max(0.0, rest))

    async def _send(self) -> None:
        number, self._sent = self._sent, self._sent + 1
        with contextlib.suppress(api.NotHandedOver):  # it is kept, and flushed at the end
            await self._client.send("bob@example.test", b"soak %d" % number, subject="Soak")

    async def _flush(self) -> None:
        while await self._client.waiting():
            try:
                await self._client.flush()
            except api.NotHandedOver:
                await task.deferLater(self._reactor, 1.0)

    # -- faults ------------------------------------------------------------------------------

    async def _fault(self) -> None:
        killed = [mix for mix in self._network.mixes if mix.nickname not in SPARED]
        what = self._random.choice([self._kill, self._kill_worker, self._restart, self._relay])
        await what(self._random.choice(killed))
        self._faults += 1

    async def _kill(self, mix: Mix) -> None:
        await deferToThread(mix.kill)
        await deferToThread(mix.start)

    async def _restart(self, mix: Mix) -> None:
        await deferToThread(mix.stop)
        await deferToThread(mix.start)

    async def _kill_worker(self, _: Mix) -> None:
        mix = self._random.choice(self._network.mixes)
        for pid in mix.ask("status")["pids"][1:]:
            os.kill(pid, signal.SIGKILL)

    async def _relay(self, _: Mix) -> None:
        await deferToThread(self._network.stop_relay)
        await task.deferLater(self._reactor, 5.0)
        await deferToThread(self._network.start_relay)

    # -- what is measured --------------------------------------------------------------------

    async def _sample(self) -> None:
        for mix in self._network.mixes:
            if mix.nickname in SPARED:
                sample = await deferToThread(measure, mix)
                self._samples[mix.nickname].append(sample)
                say(f"{mix.nickname} {json.dumps(sample)}")

    def _flat(self) -> bool:
        flat = True
        for name, samples in self._samples.items():
            judged = samples[WARM:]
            third = len(judged) // 3
            if not third:
                say("too short a run to judge growth")
                return False
            for key in ("memory", "descriptors"):
                first = statistics.median(sample[key] for sample in judged[:third])
                last = statistics.median(sample[key] for sample in judged[-third:])
                grown = last / first - 1
                flat = flat and grown <= GROWTH
                say(f"{name} {key}: {first:.0f} -> {last:.0f} ({grown:+.1%})")
            besides = max(sample["used"] - TAG * sample["tags"] for sample in judged)
            flat = flat and besides <= BESIDES
            say(f"{name} store: at most {besides} octets besides its tags")
        return flat

    async def _missing(self) -> int:
        def texts() -> int:
            return len({path.read_bytes().split(b"\r\n\r\n", 1)[1] for path in self._mails()})

        def all_there() -> bool:
            return texts() >= self._sent

        try:
            await deferToThread(wait_until, all_there, 900.0, "mail is missing")
        except Exception as error:
            say(str(error))
        return self._sent - await deferToThread(texts)

    def _mails(self) -> list[Path]:
        return self._network.mails()


def measure(mix: Mix) -> dict[str, int]:
    """Anonymous memory (network process and workers) and what the store uses, in octets; open
    descriptors; tags."""
    status = mix.ask("status")
    memory = sum(anonymous(pid) for pid in status["pids"])
    descriptors = len(os.listdir(f"/proc/{status['pids'][0]}/fd"))
    store = status["store"]
    return {
        "memory": memory,
        "descriptors": descriptors,
        "used": store["used"],
        "tags": store["tags"],
    }


def anonymous(pid: int) -> int:
    """Octets of anonymous memory of a process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise LookupError(pid)


def say(line: str) -> None:
    """A line for whoever watches."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(reactor: Any, minutes: float) -> None:
    """The command."""
    with tempfile.TemporaryDirectory(prefix="mixminion-soak-") as name:
        network = LocalNetwork(Path(name) / "network")
        await deferToThread(network.make)
        try:
            await deferToThread(network.start)
            client = api.Client(reactor, api.load_config(str(network.client_config)))
            code = await Soak(reactor, network, client).run(minutes * 60)
            await client.close()
        finally:
            await deferToThread(network.stop)
    if code:
        raise SystemExit(code)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.integration.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    chosen = parser.parse_args(sys.argv[1:])
    task.react(lambda reactor: Deferred.fromCoroutine(main(reactor, chosen.minutes)))
