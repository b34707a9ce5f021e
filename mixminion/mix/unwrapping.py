"""What a worker does: requests in, answers out (:mod:`mixminion.mix.batches`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixminion.errors import MixminionError
from mixminion.mix import batches
from mixminion.mix.keys import PacketKeys
from mixminion.sphinx import suites
from mixminion.sphinx.errors import Dropped, Reason
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.unwrap import Unwrapper


def settings(geometry: Geometry, node_id: bytes, folder: Path) -> str:
    """What a worker is told on its command line: nothing secret."""
    return json.dumps(
        {
            "suite": geometry.suite.name,
            "hops": geometry.hops,
            "commands": geometry.commands,
            "packet": geometry.packet,
            "node": node_id.hex(),
            "folder": str(folder),
        }
    )


def from_settings(text: str) -> Unwrapping:
    """The worker's half of :func:`settings`."""
    fields: dict[str, Any] = json.loads(text)
    geometry = Geometry(
        suites.by_name(fields["suite"]),
        hops=fields["hops"],
        commands=fields["commands"],
        packet=fields["packet"],
    )
    keys = PacketKeys(Path(fields["folder"]), geometry, bytes.fromhex(fields["node"]))
    return Unwrapping(geometry, keys)


class Unwrapping:
    """The worker's side of the socketpair, without the socketpair."""

    def __init__(self, geometry: Geometry, keys: PacketKeys) -> None:
        self._geometry = geometry
        self.keys = keys

    def answer(self, request: memoryview) -> bytes:
        """The answer chunk for one request chunk (without its length)."""
        op, batch = batches.HEAD.unpack_from(request)
        body = request[batches.HEAD.size :]
        try:
            return batches.answer_chunk(op, batch, self._pieces(op, body))
        except (MixminionError, OSError) as error:
            code = error.code if isinstance(error, MixminionError) else "os-error"
            return batches.answer_chunk(batches.FAILED, batch, [code.encode("ascii")])

    def _pieces(self, op: int, body: memoryview) -> list[bytes]:
        if op == batches.UNWRAP:
            periods, packets = batches.parse_unwrap(body, self._geometry.packet)
            return [
                piece
                for answer in self.unwrap(periods, packets)
                for piece in batches.encode_answer(answer)
            ]
        periods = batches.parse_periods(body)
        if op == batches.MAKE:
            return batches.encode_public({period: self.keys.make(period) for period in periods})
        self.keys.keep(periods)
        return []

    def unwrap(
        self, periods: Sequence[int], packets: Sequence[bytes]
    ) -> list[batches.Answer | batches.Drop]:
        """Each packet under the first of the periods' keys that opens it."""
        tries = [(n, opener) for n in periods if (opener := self.keys.unwrapper(n)) is not None]
        return [self._unwrap_one(tries, packet) for packet in packets]

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
                if reason is not Reason.MAC:
                    break
        return batches.Drop(reason.value)
