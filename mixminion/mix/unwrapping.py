"""What a worker does: requests in, answers out (:mod:`mixminion.mix.batches`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mixminion.crypto.passphrase import MEMORY, Passphrase
from mixminion.crypto.rng import SystemRandom
from mixminion.errors import MixminionError
from mixminion.mix import batches
from mixminion.mix.keys import PacketKeys
from mixminion.mix.protection import Protection
from mixminion.mix.slots import Slots
from mixminion.sphinx.errors import Dropped, Reason
from mixminion.sphinx.unwrap import Unwrapper

SPARE = 24 * 2**20
"""Octets that a worker may still take when it works."""

Protect = Callable[[int], Protection]
"""Locks this process's memory when there is room for so many octets more."""

OS_ERROR = "os-error"

OTHER_KEY = frozenset({Reason.MAC, Reason.VERSION})
"""With these another period's key may open the packet: it is not this key's, or not its suite's."""


def settings(node_id: bytes, folder: Path, packet_length: int = 0, slots: int | None = None) -> str:
    """What a worker is told on its command line, nothing of it secret.  *slots* is the file
    descriptor of the memory that packets of *packet_length* octets come in; None for a worker
    that has only to do with keys."""
    return json.dumps(
        {"node": node_id.hex(), "folder": str(folder), "packet": packet_length, "slots": slots}
    )


def from_settings(text: str, protect: Protect) -> Unwrapping:
    """The worker's half of :func:`settings`; *protect* is called before a key is read."""
    fields: dict[str, Any] = json.loads(text)
    length = fields["packet"]
    slots = None if fields["slots"] is None else Slots(fields["slots"], length)
    keys = PacketKeys(Path(fields["folder"]), bytes.fromhex(fields["node"]))
    return Unwrapping(keys, slots, length, protect)


class Unwrapping:
    """The worker's side of the conversation, without the socketpair."""

    def __init__(
        self,
        keys: PacketKeys,
        slots: Slots | None = None,
        packet_length: int = 0,
        protect: Protect | None = None,
    ) -> None:
        self.keys = keys
        self._protect = protect
        self._slots = slots
        self._packet_length = packet_length

    def answer(self, request: bytes) -> bytes:
        """The answer chunk for one request chunk (without its length)."""
        op, batch = batches.HEAD.unpack_from(request)
        try:
            return batches.chunk(op, batch, self._answer(op, request[batches.HEAD.size :]))
        except MixminionError as error:
            return batches.chunk(
                batches.FAILED, batch, batches.encode_failure(error.code, error.fields)
            )
        except OSError:
            return batches.chunk(batches.FAILED, batch, batches.encode_failure(OS_ERROR, {}))

    def _answer(self, op: int, body: bytes) -> bytes:
        if op == batches.UNWRAP:
            return self._unwrap_area(*batches.parse_unwrap(body))
        if op == batches.HELLO:
            return self._hello(body)
        if op == batches.CHECK:
            self.keys.check()
            return b""
        if op == batches.CHANGE:
            self.keys.change(_passphrase(body))
            return b""
        if op == batches.MAKE:
            return batches.encode_made(map(self.keys.make, batches.parse_wanted(body)))
        self.keys.keep(batches.parse_periods(body))
        return b""

    def _hello(self, passphrase: bytes) -> bytes:
        assert self._protect is not None
        # Before anything is derived from the passphrase, which takes memory, too.
        protection = self._protect(SPARE + (MEMORY * 1024 if passphrase else 0))
        self.keys.passphrase = _passphrase(passphrase)
        return protection.encode()

    def _unwrap_area(self, area: int, count: int, periods: Sequence[int]) -> bytes:
        slots = self._slots
        assert slots is not None
        tries = self._tries(periods)
        records = []
        for number in range(count):
            packet = bytes(slots.get(area, number, self._packet_length))
            record, pieces = batches.encode_answer(self._unwrap_one(tries, packet))
            slots.put(area, number, *pieces)
            records.append(record)
        return b"".join(records)

    def unwrap(self, periods: Sequence[int], packets: Sequence[bytes]) -> batches.Answers:
        """Each packet under the first of the periods' keys that opens it."""
        tries = self._tries(periods)
        return [self._unwrap_one(tries, packet) for packet in packets]

    def _tries(self, periods: Sequence[int]) -> list[tuple[int, Unwrapper]]:
        return [(n, opener) for n in periods if (opener := self.keys.unwrapper(n)) is not None]

    @staticmethod
    def _unwrap_one(
        tries: list[tuple[int, Unwrapper]], packet: bytes
    ) -> batches.Answer | batches.Drop:
        reason: Reason = Reason.MAC
        for period, unwrapper in tries:
            try:
                return batches.Answer(period, unwrapper.unwrap(packet))
            except Dropped as dropped:
                reason = dropped.reason
                if reason not in OTHER_KEY:
                    break
        return batches.Drop(reason.value)


def _passphrase(octets: bytes) -> Passphrase | None:
    return Passphrase(octets, SystemRandom()) if octets else None
