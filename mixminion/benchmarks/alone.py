"""``python -m mixminion.benchmarks.alone NETWORK FILE``: unwrap what FILE holds with mix1's key, in
this process alone.  Prints when it began and ended, by the system's monotonic clock."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from mixminion.benchmarks.parts import view_of
from mixminion.mix.keys import PacketKeys


def main(folder: str, file: str) -> None:
    """Unwrap them all."""
    view = view_of(Path(folder))
    length, server = view.packet_length, view.by_name("mix1")
    assert server is not None
    keys = PacketKeys(Path(folder) / "mix1" / "keys", server.node_id)
    unwrapper = keys.unwrapper(view.current_period(time.time()))
    assert unwrapper is not None
    stored = Path(file).read_bytes()
    packets = [stored[at : at + length] for at in range(0, len(stored), length)]
    start = time.monotonic()
    for packet in packets:
        unwrapper.unwrap(packet)
    print(start, time.monotonic())


if __name__ == "__main__":
    main(*sys.argv[1:])
