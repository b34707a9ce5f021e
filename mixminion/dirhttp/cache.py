"""The documents a program holds, in memory and in a folder.

The newest consensus and its key documents are in memory; the two consensuses before it and
what they name are in the folder alone, since they serve for differences and comparisons only.
The folder has the files ``consensus`` (the newest, in its envelope), ``consensus-DIGEST`` (those
before it, by their payloads' digests in hexadecimal), ``keys-DIGEST`` (key documents) and a folder
``evidence``.  What is not verified is neither kept nor served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from twisted.logger import Logger

from mixminion.directory import checks
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.errors import BadDocument, DirectoryOlder, TwoDirectories
from mixminion.directory.view import View
from mixminion.dirhttp.documents import Documents, Known
from mixminion.dirhttp.errors import NoDirectory
from mixminion.dirhttp.evidence import FOLDER, Evidence, EvidenceFiles
from mixminion.dirhttp.files import Files, FolderFiles, InThread, MemoryFiles, inline, result_of
from mixminion.errors import MixminionError
from mixminion.util import times

__all__ = ["DocumentCache", "Documents", "InThread", "Known", "inline"]

log = Logger()

KEPT = 3
"""Consensuses that are kept: as many as are valid at once."""

CONSENSUS = "consensus"
KEYS = "keys-"


class DocumentCache:
    """The newest verified documents, and what is known of those before them.

    ``descriptor`` is what this server says of itself, in its envelope, served beside them;
    None where there is none.  ``known`` has the held consensuses, at most :data:`KEPT`, the newest
    first.  ``evidence`` has the times for which authorities signed two consensuses.  Work that
    blocks, or takes long with a large network, is done in ``in_thread``.
    """

    def __init__(
        self,
        authorities: Sequence[bytes],
        folder: Path | None = None,
        in_thread: InThread = inline,
    ) -> None:
        """*authorities*: raw identity keys.  Without a *folder* nothing outlives the process."""
        self.authorities = tuple(authorities)
        self.descriptor: bytes | None = None
        self.known: tuple[Known, ...] = ()
        self.evidence: tuple[Evidence, ...] = ()
        self._files: Files = MemoryFiles() if folder is None else FolderFiles(folder)
        self._evidence = EvidenceFiles(
            MemoryFiles() if folder is None else FolderFiles(folder / FOLDER)
        )
        self.in_thread = in_thread
        self._held: tuple[Documents, View] | None = None

    # -- what the folder has -----------------------------------------------------------------

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
        self.evidence = self._evidence.all()
        signed = SignedConsensus.verify(self._files.read(CONSENSUS), self.authorities, now)
        keys = {
            period.keys: self._files.read(_keys(period.keys))
            for period in signed.consensus.key_periods
        }
        documents = Documents(signed, keys)
        self._held = documents, documents.view()
        self.known = (Known.of(documents), *self._before(signed))

    def _before(self, newest: SignedConsensus) -> list[Known]:
        """The consensuses before *newest* that are there, sound and with all their keys."""
        names = {*self._files.names()}
        found = []
        for name in names:
            with suppress(MixminionError, FileNotFoundError):
                if name.startswith(CONSENSUS + "-"):
                    known = Known.read(self._files.read(name))
                    older = known.valid_after < newest.consensus.valid_after
                    if older and name == _past(known.digest) and names >= {*map(_keys, known.keys)}:
                        found.append(known)
        return sorted(found, key=lambda known: known.valid_after, reverse=True)[: KEPT - 1]

    # -- what is offered ---------------------------------------------------------------------

    async def judge(self, octets: bytes, now: float) -> SignedConsensus:
        """A consensus in its envelope, when it is one that may be believed now and may follow
        those held.

        :raises PeerError: it is not: malformed, not signed by enough authorities, not valid at
            *now*, older than the newest held, or a second one for its time, which is kept as
            evidence.
        """
        signed = await result_of(
            self.in_thread, lambda: SignedConsensus.verify(octets, self.authorities, now)
        )
        await self._compare(signed)
        checks.check_dates(signed.consensus, now)
        if self.signed is not None:
            checks.check_succession(self.signed, signed)
        return signed

    async def accept(self, documents: Documents) -> None:
        """Keep newer documents, on disk before they are used or served; of the same consensus,
        the envelope with more signatures.

        :raises DirectoryOlder: they are older than those held, which stay.
        :raises TwoDirectories: they are of the same time as others held, and differ; those held
            stay, and both are kept as evidence.
        :raises PeerError: the key documents do not belong to the consensus.
        """
        await self._compare(documents.signed)
        held = self.signed
        if held is not None:
            checks.check_succession(held, documents.signed)
            same = held.digest == documents.signed.digest
            if same and held.tally.signed >= documents.signed.tally.signed:
                return
        view = await result_of(self.in_thread, documents.view)
        newest = Known.of(documents)
        before = tuple(each for each in self.known if each.digest != newest.digest)
        known = (newest, *before[: KEPT - 1])
        await self.in_thread(lambda: self._write(documents, known))
        self._held = documents, view
        self.known = known

    async def compare(self, one: SignedConsensus, other: SignedConsensus) -> None:
        """Two believed consensuses of one time have to be the same.

        :raises TwoDirectories: they are not; both are kept as evidence.
        """
        same_time = one.consensus.valid_after == other.consensus.valid_after
        if same_time and one.digest != other.digest:
            await self._accuse(other, one.digest, one.octets)

    async def _compare(self, offered: SignedConsensus) -> None:
        """The same with those that are held."""
        time = offered.consensus.valid_after
        rival = next((each for each in self.known if each.valid_after == time), None)
        if rival is not None and rival.digest != offered.digest:
            await self._accuse(offered, rival.digest, await self.consensus(rival.digest))

    async def _accuse(self, offered: SignedConsensus, digest: bytes, octets: bytes | None) -> None:
        """Two consensuses for one time are kept as evidence, and the second is not believed."""
        time = offered.consensus.valid_after
        if octets is not None:
            pair = {digest: octets, offered.digest: offered.octets}
            await self.in_thread(lambda: self._testify(time, pair))
        raise TwoDirectories(valid_after=times.to_text(time))

    def _testify(self, time: int, pair: Mapping[bytes, bytes]) -> None:
        if self._evidence.keep(time, pair):
            log.error(
                "There are two signed directories for {valid_after}; both are kept as evidence.",
                valid_after=times.to_text(time),
            )
        self.evidence = self._evidence.all()

    def _write(self, documents: Documents, known: Sequence[Known]) -> None:
        """Keys first, so that a crash leaves no consensus without them; what is needed no
        longer goes last."""
        self._check_disk(documents.signed)
        for digest in documents.digests:
            if self.keys(digest) is None:  # else it was written, or read, before
                self._files.write(_keys(digest), documents.keys[digest])
        before = self.signed
        if before is not None and before.digest != documents.signed.digest:
            self._files.write(_past(before.digest), before.octets)
        self._files.write(CONSENSUS, documents.signed.octets)
        wanted = {CONSENSUS, *(_past(each.digest) for each in known[1:])}
        wanted |= {_keys(digest) for each in known for digest in each.keys}
        for name in self._files.names():
            if name.startswith((CONSENSUS, KEYS)) and name not in wanted:
                self._files.remove(name)

    def _check_disk(self, offered: SignedConsensus) -> None:
        """Another process that uses the folder may have been faster.

        :raises DirectoryOlder: it has kept a newer consensus than *offered*.
        """
        time = offered.consensus.valid_after
        try:
            octets = self._files.read(CONSENSUS)
            if Known.read(octets).valid_after <= time:
                return
            newer = SignedConsensus.verify(octets, self.authorities, time)
        except (FileNotFoundError, MixminionError):
            return
        held = times.to_text(newer.consensus.valid_after)
        raise DirectoryOlder(offered=times.to_text(time), held=held)

    # -- what is held ------------------------------------------------------------------------

    def view(self, now: float) -> View:
        """The network as the newest consensus shows it.

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
        """The network as the newest consensus shows it, whatever its dates: what a server that
        is cut off goes on with."""
        return None if self._held is None else self._held[1]

    @property
    def signed(self) -> SignedConsensus | None:
        """The newest consensus, whatever its dates."""
        return None if self._held is None else self._held[0].signed

    def keys(self, digest: bytes) -> bytes | None:
        """The key document of that digest, if the newest consensus lists it."""
        return None if self._held is None else self._held[0].keys.get(digest)

    async def consensus(self, digest: bytes) -> bytes | None:
        """The held consensus, in its envelope, whose payload has that digest."""
        if self.signed is not None and self.signed.digest == digest:
            return self.signed.octets
        if all(known.digest != digest for known in self.known):
            return None
        octets = await self._read(_past(digest))
        with suppress(BadDocument):
            return octets if octets and Known.read(octets).digest == digest else None
        return None

    async def key_document(self, digest: bytes) -> bytes | None:
        """The key document of that digest, if any held consensus lists it."""
        octets = self.keys(digest)
        if octets is None and any(digest in known.keys for known in self.known):
            return await self._read(_keys(digest))
        return octets

    async def witnesses(self, evidence: Evidence) -> list[bytes]:
        """The envelopes of one piece of evidence; none where its files are gone."""
        return await result_of(self.in_thread, lambda: self._quietly(evidence))

    def _quietly(self, evidence: Evidence) -> list[bytes]:
        try:
            return self._evidence.read(evidence)
        except (FileNotFoundError, MixminionError):
            return []

    async def _read(self, name: str) -> bytes | None:
        """A file; None where it is not there any more, or not private."""

        def read() -> bytes | None:
            try:
                return self._files.read(name)
            except (FileNotFoundError, MixminionError):
                return None

        return await result_of(self.in_thread, read)


def _past(digest: bytes) -> str:
    return f"{CONSENSUS}-{digest.hex()}"


def _keys(digest: bytes) -> str:
    return KEYS + digest.hex()
