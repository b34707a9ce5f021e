"""What commands ask of packet keys: each has a worker process of its own do it.

So no command ever has a private packet key.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mixminion.crypto import kdf
from mixminion.disk import sealed
from mixminion.errors import OperatorError
from mixminion.mix import batches
from mixminion.mix.batches import Made, Wanted
from mixminion.mix.keys import KNOWN
from mixminion.mix.unwrapping import settings
from mixminion.mix.workers import command


class NoPacketKeys(OperatorError):
    """The worker process for packet keys failed."""

    code = "no-packet-keys"
    sentence = "The packet keys in {folder} could not be used ({reason})."


@dataclass(frozen=True, slots=True)
class PacketKeyFolder:
    """Where a server's packet keys are, and for whom they are."""

    folder: Path
    identity: bytes
    passphrase: bytes | None = None

    def make(self, wanted: Iterable[Wanted]) -> list[Made]:
        """The public keys of those periods; pairs that are missing are made."""
        return batches.parse_made(self._ask(batches.MAKE, batches.encode_wanted(wanted)))

    def check(self) -> None:
        """Open every key.

        Raises what can be wrong with one (:data:`mixminion.mix.keys.KNOWN`), and
        :class:`NoPacketKeys` for the rest.
        """
        self._ask(batches.CHECK, b"")

    def look(self) -> int:
        """Open every key without a passphrase; where some have one open none, and tell how many
        have one.  Raises as :meth:`check` does."""
        count = len(self._protected())
        if not count:
            self.check()
        return count

    def _protected(self) -> list[Path]:
        return [path for path in self.folder.glob("packet-*.key") if sealed.is_protected(path)]

    def change(self, new: bytes | None) -> None:
        """Protect every key by *new*; raises as :meth:`check` does, before any is changed."""
        self._ask(batches.CHANGE, new or b"")

    def _ask(self, op: int, body: bytes) -> bytes:
        """The answer's body of a worker that is started for this request."""
        told = settings(kdf.sha256(self.identity), self.folder)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            worker = subprocess.Popen(
                command(told), stdin=theirs.fileno(), stdout=subprocess.DEVNULL
            )
            theirs.close()
            ours.sendall(batches.chunk(batches.HELLO, 0, self.passphrase or b""))
            ours.sendall(batches.chunk(op, 1, body))
            ours.shutdown(socket.SHUT_WR)
            octets = b"".join(iter(lambda: ours.recv(65536), b""))
            worker.wait()
        return self._second(octets, op)

    def _second(self, octets: bytes, op: int) -> bytes:
        """What was answered to the second request."""
        for _ in range(2):
            if len(octets) < batches.LENGTH.size + batches.HEAD.size:
                raise NoPacketKeys(folder=self.folder, reason="the worker process ended")
            end = batches.LENGTH.size + batches.LENGTH.unpack_from(octets)[0]
            answer, octets = octets[batches.LENGTH.size : end], octets[end:]
        found, _ = batches.HEAD.unpack_from(answer)
        if found == op:
            return answer[batches.HEAD.size :]
        code, fields = batches.parse_failure(answer[batches.HEAD.size :])
        if code in KNOWN:
            raise KNOWN[code](**fields)
        raise NoPacketKeys(folder=self.folder, reason=code)
