"""``directory-10k-...``: what a directory of 10,000 servers costs a client.

``directory-10k-verify``
    reading and checking a consensus; bare are the checks of its five signatures and their
    certificates, and the decoding of its JSON into plain values
``directory-10k-path``
    choosing a path
``directory-10k-memory``
    anonymous memory of a client's process that holds the consensus and three periods' keys
"""

from __future__ import annotations

import base64
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from mixminion.benchmarks import large
from mixminion.benchmarks.footprint import anonymous
from mixminion.benchmarks.large import EXIT, NOW, Large
from mixminion.crypto import sign as ed25519
from mixminion.crypto.rng import SystemRandom
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.envelope import pae
from mixminion.directory.view import View
from mixminion.dirhttp.cache import Documents
from mixminion.paths.select import ExitRequirement, choose

TURNS = 9
PATHS = 101


def run() -> list[dict[str, Any]]:
    """All rows."""
    directory = large.make()
    return [verify(directory), path(_view(directory)), memory()]


def verify(directory: Large) -> dict[str, Any]:
    """Ours and the bare checks in turns."""
    ours, bare = [], []
    for _ in range(TURNS):
        ours.append(_timed(lambda: _verified(directory)))
        bare.append(_timed(lambda: _bare(directory.consensus)))
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    return {
        "name": "directory-10k-verify",
        "value": round(statistics.median(ours) * 1e3, 1),
        "unit": "ms",
        "bound": round(statistics.median(bare) * 1e3, 1),
        "ratio": round(statistics.median(ratios), 3),
    }


def path(view: View) -> dict[str, Any]:
    """Once the view knows which servers are usable, as every path but the first finds it."""
    exit, random = ExitRequirement(EXIT, 5_000), SystemRandom()
    times = [
        _timed(lambda: choose(view, None, exit, now=NOW + 60, random=random)) for _ in range(PATHS)
    ]
    return {
        "name": "directory-10k-path",
        "value": round(statistics.median(times) * 1e3, 2),
        "unit": "ms",
        "bound": None,
        "ratio": None,
    }


def memory() -> dict[str, Any]:
    """Of a process of its own, which has read the documents from files and keeps them."""
    done = subprocess.run(
        [sys.executable, "-m", "mixminion.benchmarks.directory"],
        check=True,
        capture_output=True,
        text=True,
    )
    return {
        "name": "directory-10k-memory",
        "value": round(int(done.stdout) / 2**20, 1),
        "unit": "MiB",
        "bound": None,
        "ratio": None,
    }


def _verified(directory: Large) -> SignedConsensus:
    return SignedConsensus.verify(directory.consensus, directory.authorities, NOW + 60)


def _view(directory: Large) -> View:
    return Documents(_verified(directory), directory.keys).view()


def _bare(octets: bytes) -> Any:
    envelope = msgspec.json.decode(octets)
    payload = base64.b64decode(envelope["payload"])
    signed = pae(envelope["payloadType"], payload)
    for signature in envelope["signatures"]:
        certificate = signature["certificate"]
        stated = base64.b64decode(certificate["payload"])
        fields = msgspec.json.decode(stated)
        identity, key = (base64.b64decode(fields[name]) for name in ("identity", "key"))
        by_identity = base64.b64decode(certificate["signatures"][0]["sig"])
        assert ed25519.verify(identity, by_identity, pae(certificate["payloadType"], stated))
        assert ed25519.verify(key, base64.b64decode(signature["sig"]), signed)
    return msgspec.json.decode(payload)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print the octets of anonymous memory that a view takes, with all that was imported."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        child = os.fork()
        if child == 0:  # what making it takes is no client's
            made = large.make()
            (folder / "consensus").write_bytes(made.consensus)
            for digest, octets in made.keys.items():
                (folder / digest.hex()).write_bytes(octets)
            (folder / "authorities").write_bytes(b"".join(made.authorities))
            os._exit(0)
        os.waitpid(child, 0)
        identities = (folder / "authorities").read_bytes()
        authorities = [identities[at : at + 32] for at in range(0, len(identities), 32)]
        signed = SignedConsensus.verify((folder / "consensus").read_bytes(), authorities, NOW + 60)
        keys = {
            each.keys: (folder / each.keys.hex()).read_bytes()
            for each in signed.consensus.key_periods
        }
        held = Documents(signed, keys)
        view = held.view()
        choose(view, None, ExitRequirement(EXIT, 5_000), now=NOW + 60, random=SystemRandom())
        print(anonymous(os.getpid()))


if __name__ == "__main__":
    main()
