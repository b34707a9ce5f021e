"""The documents a program holds, in memory and in a folder.

The folder has the files ``consensus`` (in its envelope) and ``keys-DIGEST`` (key
documents, the digest in hexadecimal).  What is not verified is neither kept nor served.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from twisted.internet.defer import succeed
from twisted.logger import Logger

from mixminion.directory import checks
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.keydoc import KeyDocument
from mixminion.directory.view import View
from mixminion.dirhttp.errors import NoDirectory
from mixminion.disk import private
from mixminion.errors import MixminionError

log = Logger()

CONSENSUS = "consensus"
KEYS = "keys-"

InThread = Callable[[Callable[[], None]], Awaitable[None]]
"""Runs a function where it may block on the disk; fires when it has returned."""


def inline(work: Callable[[], None]) -> Awaitable[None]:
    """Where blocking harms nobody: a command, a virtual clock."""
    work()
    return succeed(None)


@dataclass(frozen=True, slots=True)
class Documents:
    """A verified consensus and all key documents that it lists, by digest."""

    signed: SignedConsensus
    keys: Mapping[bytes, bytes]

    @property
    def digests(self) -> frozenset[bytes]:
        """The digests of the key documents that the consensus lists."""
        return frozenset(period.keys for period in self.signed.consensus.key_periods)

    def view(self) -> View:
        """What they show of the network.

        :raises PeerError: a key document is missing, malformed or does not belong.
        """
        return View(
            self.signed.consensus,
            [KeyDocument.read(self.keys.get(digest, b""), digest) for digest in self.digests],
        )


class DocumentCache:
    """The newest verified documents.  ``descriptor`` is what this server says of itself, in
    its envelope, served beside them; None where there is none."""

    def __init__(
        self,
        authorities: Sequence[bytes],
        folder: Path | None = None,
        in_thread: InThread = inline,
    ) -> None:
        """*authorities*: raw identity keys.  Without a *folder* nothing outlives the process."""
        self.authorities = tuple(authorities)
        self.descriptor: bytes | None = None
        self._folder = folder
        self._in_thread = in_thread
        self._held: tuple[Documents, View] | None = None

    def load(self, now: float) -> bool:
        """Take what the folder has; False when it has nothing that can be believed."""
        try:
            self.read(now)
        except FileNotFoundError:
            return False
        except MixminionError as error:
            log.warn("the kept directory cannot be used: {code}", code=error.code)
            return False
        return True

    def read(self, now: float) -> None:
        """Take what the folder has, whatever its dates.

        :raises FileNotFoundError: it has no directory, or not all of one.
        :raises PrivateFileError: others could have written it.
        :raises PeerError: it cannot be believed.
        """
        if self._folder is None:
            raise FileNotFoundError
        signed = SignedConsensus.verify(
            private.read(self._folder / CONSENSUS), self.authorities, now
        )
        keys = {
            period.keys: private.read(self._folder / _file(period.keys))
            for period in signed.consensus.key_periods
        }
        documents = Documents(signed, keys)
        self._held = documents, documents.view()

    async def accept(self, documents: Documents) -> None:
        """Keep newer documents, on disk before they are used or served.

        :raises DirectoryOlder: they are older than those held, which stay.
        :raises TwoDirectories: they are of the same time and differ; those held stay.
        :raises PeerError: the key documents do not belong to the consensus.
        """
        if self.signed is not None:
            checks.check_succession(self.signed, documents.signed)
        view = documents.view()
        await self._in_thread(lambda: self._write(documents))
        self._held = documents, view

    def view(self, now: float) -> View:
        """The network as the held consensus shows it.

        :raises NoDirectory: there is none.
        :raises DirectoryExpired: it is valid no longer.
        :raises DirectoryEarly: it is not valid yet.
        """
        if self._held is None:
            raise NoDirectory
        documents, view = self._held
        checks.check_dates(documents.signed.consensus, now)
        return view

    @property
    def latest(self) -> View | None:
        """The network as the held consensus shows it, whatever its dates: what a server that
        is cut off goes on with."""
        return None if self._held is None else self._held[1]

    @property
    def signed(self) -> SignedConsensus | None:
        """The held consensus, whatever its dates."""
        return None if self._held is None else self._held[0].signed

    def keys(self, digest: bytes) -> bytes | None:
        """The held key document of that digest."""
        return None if self._held is None else self._held[0].keys.get(digest)

    def _write(self, documents: Documents) -> None:
        """Keys first, so that a crash leaves no consensus without them."""
        if self._folder is None:
            return
        private.make_folder(self._folder)
        wanted = {_file(digest): digest for digest in documents.digests}
        for name, digest in wanted.items():
            if self.keys(digest) is None:  # else it was written, or read, before
                private.write(self._folder / name, documents.keys[digest])
        private.write(self._folder / CONSENSUS, documents.signed.octets)
        for path in self._folder.glob(KEYS + "*"):
            if path.name not in wanted:
                with suppress(FileNotFoundError):
                    path.unlink()


def _file(digest: bytes) -> str:
    return KEYS + digest.hex()
