"""Memory that the network process shares with one worker, for packets on their way in and out.

A packet through a socket is copied four times and more; through here twice.  There are
``AREAS`` areas of ``BATCH`` slots; a batch has an area to itself from the request until its
answer has been read, and each answer stands in its packet's slot.

Both processes map this memory, so no key and nothing that opens one is ever put here: only
packets, sealed as they came and open by one layer as they go on.
"""

from __future__ import annotations

import mmap
import os
import tempfile

AREAS = 2
"""Batches a worker holds at a time: one under way, one waiting so that it never idles."""

BATCH = 16
"""Packets of one batch, at most."""

ROOM = 32
"""What an answer may be longer than its packet: the next node id."""


class Slots:
    """The areas, in a mapping of the file *descriptor*; *packet_length* in octets."""

    def __init__(self, descriptor: int, packet_length: int) -> None:
        self._slot = packet_length + ROOM
        self._map = mmap.mmap(descriptor, size(packet_length))
        self._memory = memoryview(self._map)

    def put(self, area: int, number: int, *pieces: bytes) -> None:
        """Write the slot *number* of an area."""
        at = (area * BATCH + number) * self._slot
        for piece in pieces:
            end = at + len(piece)
            self._memory[at:end] = piece
            at = end

    def get(self, area: int, number: int, length: int) -> memoryview:
        """The first *length* octets of a slot, until it is written again; ValueError for more
        than it has."""
        if length > self._slot:
            raise ValueError(length)
        at = (area * BATCH + number) * self._slot
        return self._memory[at : at + length]

    def close(self) -> None:
        """Let go of the mapping."""
        self._memory.release()
        self._map.close()


def size(packet_length: int) -> int:
    """Octets of all areas."""
    return AREAS * BATCH * (packet_length + ROOM)


def anonymous_file(packet_length: int) -> int:
    """A descriptor of a file in memory, without a name, long enough for the areas."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("mixminion")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size(packet_length))
    return descriptor
