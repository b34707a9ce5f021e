"""``python -m mixminion.benchmarks.packets NETWORK PATH COUNT FILE``: distinct packets without
delay along PATH (nicknames, separated by commas), one after the other in FILE."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from mixminion.benchmarks.parts import geometry_of, view_of
from mixminion.crypto.rng import SystemRandom
from mixminion.payload import cover
from mixminion.sphinx import build
from mixminion.sphinx.build import Hop


def main(folder: str, path: str, count: str, file: str) -> None:
    """Make them."""
    view, random = view_of(Path(folder)), SystemRandom()
    geometry = geometry_of(view)
    period = view.current_period(time.time())
    servers = [view.by_name(name) for name in path.split(",")]
    hops = [
        Hop(server.node_id, view.packet_key(server.identity, period), 0)
        for server in servers
        if server is not None
    ]
    with open(file, "wb") as output:
        for _ in range(int(count)):
            output.write(build.forward(geometry, hops, cover.body(geometry, random), random))


if __name__ == "__main__":
    main(*sys.argv[1:])
