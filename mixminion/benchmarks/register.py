"""An authority that knows 10,000 servers, with three X-Wing keys each and addresses that answer.

``directory-10k-register``
    reading its register when it starts; bare is reading the rows and decoding their JSON
``directory-10k-vote``
    making its vote
``directory-10k-authority-memory``
    anonymous memory of the process that has done both
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mixminion.authority import config
from mixminion.authority.config import Settings
from mixminion.authority.figures import Figures
from mixminion.authority.records import Decision, Described, Dialled
from mixminion.authority.register import Register
from mixminion.authority.voting import Voting
from mixminion.benchmarks import voting
from mixminion.benchmarks.footprint import anonymous
from mixminion.benchmarks.large import NOW, SERVERS
from mixminion.config import parse
from mixminion.crypto import sign as ed25519
from mixminion.directory.envelope import Envelope
from mixminion.disk.database import InlineExecutor

T = TypeVar("T")

CONFIGURATION = "[Authority]\nnickname = bench\nurl = http://192.0.2.1/\n"


def run() -> list[dict[str, Any]]:
    """The rows, measured in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "register.sqlite"
        _ready(_fill(path))
        done = subprocess.run(
            [sys.executable, "-m", "mixminion.benchmarks.register", str(path)],
            check=True,
            capture_output=True,
            text=True,
        )
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


async def _fill(path: Path) -> None:
    register = _register(path)
    await register.load()
    for octets in voting.descriptors():
        described = Described.stored(octets)
        await register.describe(described, octets)
        await register.decide(described.said.identity, Decision.APPROVED)
        for place in described.said.addresses:
            register.dialled(described.said.identity, str(place), Dialled(0, NOW, NOW, ""))
    await register.close()


def _register(path: Path) -> Register:
    clock = Clock()
    clock.advance(NOW)
    return Register(path, InlineExecutor(), clock)


def _bare(path: Path) -> None:
    connection = sqlite3.connect(path)
    for (octets,) in connection.execute("SELECT octets FROM descriptors"):
        msgspec.json.decode(msgspec.json.decode(octets, type=Envelope).payload)
    for table in ("servers", "dials"):
        connection.execute(f"SELECT * FROM {table}").fetchall()
    connection.close()


def _ready(coroutine: Coroutine[Deferred[Any], Any, T]) -> T:
    """The result of what waits for nothing."""
    results: list[T] = []
    _ = Deferred.fromCoroutine(coroutine).addCallback(results.append)
    return results[0]


def _row(name: str, value: float, unit: str, bound: float | None = None) -> dict[str, Any]:
    ratio = None if bound is None else round(value / bound, 3)
    return {
        "name": name,
        "value": round(value, 1),
        "unit": unit,
        "bound": None if bound is None else round(bound, 1),
        "ratio": ratio,
    }


def main(path: Path) -> None:
    """Print the rows for the register in *path*."""
    began = time.perf_counter()
    _bare(path)
    bare = time.perf_counter() - began
    began = time.perf_counter()
    register = _register(path)
    _ready(register.load())
    loading = time.perf_counter() - began
    settings = Settings.of(parse(CONFIGURATION, filename="/bench.conf", sections=config.SECTIONS))
    secret = bytes(32)
    clock = Clock()
    clock.advance(NOW - 1800)
    maker = Voting(
        clock=clock,
        identity=ed25519.public(secret),
        register=register,
        settings=lambda: settings,
        figures=Figures,
        seed=secret,
    )
    began = time.perf_counter()
    vote = maker.make_vote(NOW, None)
    making = time.perf_counter() - began
    assert len(vote.servers) == SERVERS
    print(
        json.dumps(
            [
                _row("directory-10k-register", loading * 1e3, "ms", bare * 1e3),
                _row("directory-10k-vote", making * 1e3, "ms"),
                _row("directory-10k-authority-memory", anonymous(os.getpid()) / 2**20, "MiB"),
            ]
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
