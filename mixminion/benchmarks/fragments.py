"""``large-message-memory`` and ``large-message-rate``: a message of 25 MB in fragments.

``large-message-memory``: a mail with an attachment, from ``mixminion send`` through real servers
and over SMTP.  Anonymous memory of the client, and of the exit's network process, at most, above
what the client takes for a small mail and the exit when it is idle; the larger of the two.

``large-message-rate``: what the client's code makes of the message, without every tenth packet on
average, at what an exit does with it, over a real store; the bound is what is needed when none is
lost.  Every one of the runs has to arrive.
"""

from __future__ import annotations

import base64
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from mixminion.benchmarks.footprint import anonymous
from mixminion.benchmarks.relay import WrongCount
from mixminion.benchmarks.rounds import arrives
from mixminion.crypto.rng import SystemRandom
from mixminion.directory.parameters import Parameters
from mixminion.testing.commands import PYTHON, wait_until
from mixminion.testing.network import LocalNetwork

SIZE = 25_000_000
RUNS = 20
LOSS = 0.1
MIB = 2**20


def run() -> list[dict[str, Any]]:
    """Both rows."""
    return [memory(), rate()]


def memory(size: int = SIZE) -> dict[str, Any]:
    """The first."""
    parameters = Parameters(mean_delay_ms=1, tick_ms=1, mix_loops_per_hour=0, hops=2)
    with tempfile.TemporaryDirectory(prefix="mixminion-bench-") as name:
        network = LocalNetwork(
            Path(name), mixes=3, parameters=parameters, exit_lines=["max-message = 32 MiB"]
        )
        network.make()
        network.describe_again()
        small, large = network.folder / "small", network.folder / "large"
        small.write_bytes(_mail(1000))
        large.write_bytes(_mail(size))
        network.start()
        exit = network.mixes[-1]
        try:
            client = _send(network, small, exit.nickname)
            wait_until(lambda: len(network.mails()) == 1, 30.0, "a small mail is missing")
            pid = exit.pid
            assert pid is not None
            idle = anonymous(pid)
            with Peak(pid) as peak:
                client_peak = _send(network, large, exit.nickname)
                wait_until(lambda: len(network.mails()) == 2, 300.0, "the large mail is missing")
            largest = max(path.stat().st_size for path in network.mails())
        finally:
            network.stop()
    if largest < size:
        raise WrongCount(f"{largest} octets of {size} arrived")
    above = {"client": client_peak - client, "exit": peak.octets - idle}
    return {
        "name": "large-message-memory",
        "value": round(max(above.values()) / MIB, 1),
        "unit": "MiB",
        "bound": 64.0,
        "ratio": round(max(above.values()) / MIB / 64, 3),
        "above-idle": {who: round(octets / MIB, 1) for who, octets in above.items()},
    }


def rate(runs: int = RUNS, size: int = SIZE) -> dict[str, Any]:
    """The second."""
    sent, needed, arrived = 0, 0, 0
    for seed in range(runs):
        run_sent, needed, whole = arrives(size, LOSS, b"run %d" % seed)
        sent = max(sent, run_sent)
        arrived += whole
    if arrived != runs:
        raise WrongCount(f"{arrived} of {runs} messages arrived")
    return {
        "name": "large-message-rate",
        "value": float(sent),
        "unit": "packets",
        "bound": float(needed),
        "ratio": round(sent / needed, 3),
        "arrived": f"{arrived} of {runs}",
    }


class Peak:
    """The most anonymous memory of a process while the context is open, looked at every 20 ms."""

    def __init__(self, pid: int) -> None:
        self.octets = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with suppress(OSError, LookupError):
            while not self._over.wait(0.02):
                self.octets = max(self.octets, anonymous(self._pid))


def _mail(size: int) -> bytes:
    """A mail of so many octets at least, nearly all of them an attachment, with LF as line end."""
    attached = base64.encodebytes(SystemRandom().octets(size * 3 // 4))
    return (
        b"To: bob@example.org\nSubject: A picture\nMIME-Version: 1.0\n"
        b'Content-Type: multipart/mixed; boundary="x"\n\n'
        b"--x\nContent-Type: text/plain\n\nHere it is.\n"
        b"--x\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\n"
        + attached
        + b"--x--\n"
    )


def _send(network: LocalNetwork, file: Path, exit: str) -> int:
    """Octets that ``mixminion send`` takes at most for the mail in a file."""
    command = [*PYTHON, "-m", "mixminion", "send", "-f", str(network.client_config), "--large"]
    command += ["--message", "-t", "bob@example.org", "-i", str(file), "-P", f"?,{exit}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process, Peak(process.pid) as peak:
        _, said = process.communicate()
    if process.returncode:
        raise WrongCount(said.decode())
    return peak.octets
