"""``python -m mixminion.app.worker SETTINGS``: a worker process.

It blocks on its standard input, which is a socket, answers one request after another, and
ends when that stream does.  It imports no Twisted: a worker is small.
"""

from __future__ import annotations

import signal
import socket
import sys

from mixminion.app.process import harden, lock_memory
from mixminion.mix.batches import LENGTH
from mixminion.mix.unwrapping import from_settings
from mixminion.util import faults

STANDARD_INPUT = 0


def main() -> None:
    """Serve until the network process is gone."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # whoever gets them all decides when to end
    faults.hush(lambda text: print(text, file=sys.stderr, flush=True))
    harden()
    unwrapping = from_settings(sys.argv[1], lock_memory)
    with socket.socket(fileno=STANDARD_INPUT) as stream:
        while (head := _read(stream, LENGTH.size)) is not None:
            request = _read(stream, LENGTH.unpack(head)[0])
            if request is None:
                return
            stream.sendall(unwrapping.answer(request))


def _read(stream: socket.socket, length: int) -> bytes | None:
    """Exactly *length* octets, or None at the end of the stream."""
    octets = b""
    while len(octets) < length:
        more = stream.recv(length - len(octets))
        if not more:
            return None
        octets += more
    return octets


if __name__ == "__main__":
    try:
        main()
    except (ConnectionError, BrokenPipeError):
        sys.exit(0)
