"""A worker process that does what the first octets of a packet say, for ``test_workers``.

``broken_worker.py FLAG SETTINGS``: without the file FLAG it ends at once.
"""

import os
import signal
import sys
from pathlib import Path

from mixminion.app import worker
from mixminion.mix import batches
from mixminion.mix.unwrapping import Protect, Unwrapping, from_settings

JUNK = {
    b"JUNK": batches.chunk(batches.UNWRAP, 0xFFFF, b"?"),
    b"LONG": b"\xff" * 40,
    b"NONE": b"",
    b"KIND": batches.ANSWER.pack(7, 0, 0, batches.NO_TAG, 0),
}


class Breaking(Unwrapping):
    """Unwraps, unless a packet says otherwise."""

    def answer(self, request: bytes) -> bytes:
        op, batch = batches.HEAD.unpack_from(request)
        if op == batches.UNWRAP:
            area, count, _ = batches.parse_unwrap(request[batches.HEAD.size :])
            assert self._slots is not None
            for number in range(count):
                word = bytes(self._slots.get(area, number, 4))
                if word == b"DIES":
                    os.kill(os.getpid(), signal.SIGKILL)
                if word == b"MAKE":
                    return batches.chunk(batches.MAKE, batch, b"")
                if word in (b"NONE", b"KIND"):
                    return batches.chunk(batches.UNWRAP, batch, JUNK[word])
                if word in JUNK:
                    return JUNK[word]
        return super().answer(request)


def breaking(text: str, protect: Protect) -> Unwrapping:
    """Such a one."""
    whole = from_settings(text, protect)
    return Breaking(whole.keys, whole._slots, whole._packet_length, protect)


if __name__ == "__main__":
    if Path(sys.argv.pop(1)).exists():
        vars(worker)["from_settings"] = breaking
        worker.main()
