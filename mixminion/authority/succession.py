"""The consensuses that an authority holds: its own and those it was away for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from twisted.internet.defer import DeferredList
from twisted.logger import Logger

from mixminion.authority.conduct import Misdeed
from mixminion.authority.office import Office
from mixminion.authority.peers import NoAnswer
from mixminion.authority.signatures import Collection
from mixminion.directory import consensus as consensuses
from mixminion.directory import keydoc
from mixminion.directory.checks import SignedConsensus, Standing
from mixminion.directory.consensus import Consensus
from mixminion.directory.errors import BadDocument, NewerDocument, WrongDigest
from mixminion.directory.keydoc import KeyDocument
from mixminion.errors import OperatorError

log = Logger()

PATIENCE = 60.0
"""Seconds for one document."""

RECENT = 8
"""Consensuses among which a previous one is looked for."""

Publish = Callable[[SignedConsensus, Mapping[bytes, bytes]], None]
"""Is given a consensus that enough have signed, and all its key documents by digest."""


class Succession:
    """The newest consensus that a majority signed, kept in the archive and told to *publish*.

    *adopted* is called after that with each that is newer than the one before.
    """

    def __init__(self, office: Office, publish: Publish, adopted: Callable[[], None]) -> None:
        self.latest: SignedConsensus | None = None
        self.keys: Mapping[bytes, bytes] = {}
        self._office = office
        self._publish = publish
        self._adopted = adopted

    def load(self) -> None:
        """Take the newest that the archive has whole."""
        archive = self._office.archive
        for valid_after in archive.instants():
            signed = self._read(archive.consensus(valid_after))
            if signed is None:
                continue
            found = {each: archive.keys(each) for each in _digests(signed)}
            keys = {each: octets for each, octets in found.items() if octets is not None}
            if len(keys) == len(found):
                self.latest, self.keys = signed, keys
                self._publish(signed, keys)
                return

    def find(self, digest: bytes) -> Consensus | None:
        """The consensus of that digest, if it is held."""
        if self.latest is not None and self.latest.digest == digest:
            return self.latest.consensus
        archive = self._office.archive
        for valid_after in archive.instants()[:RECENT]:
            signed = self._read(archive.consensus(valid_after))
            if signed is not None and signed.digest == digest:
                return signed.consensus
        return None

    def offer(self, signed: SignedConsensus, keys: Mapping[bytes, bytes]) -> None:
        """Hold it, if it is newer or has more signatures than what is held."""
        held, at = self.latest, signed.consensus.valid_after
        if held is not None and at <= held.consensus.valid_after:
            if at < held.consensus.valid_after:
                return
            if signed.digest != held.digest:
                self._two(held, signed)
                return
            if signed.tally.signed <= held.tally.signed:
                return
        archive = self._office.archive
        try:
            archive.keep_consensus(signed, keys)
            kept = [self._read(archive.consensus(each)) for each in archive.instants()[:3]]
            archive.prune_keys(digest for each in kept if each for digest in _digests(each))
            archive.prune(self._office.now)
        except OperatorError as error:
            log.error("The archive cannot be written ({code}).", code=error.code)
        self.latest, self.keys = signed, dict(keys)
        self._publish(signed, keys)
        if held is None or held.digest != signed.digest:
            self._adopted()

    async def fetch(self, peers: Iterable[bytes], at: int, pause: float) -> None:
        """Ask one of *peers* after another for the consensus it holds, the next one after *pause*
        seconds if it has not answered by then, until one of the instant *at* is held."""
        tasks = self._office.tasks
        for peer in peers:
            if self.latest is not None and self.latest.consensus.valid_after >= at:
                return
            waits = [tasks.start(self.fetch_from(peer)), tasks.start(tasks.pause(pause))]
            await DeferredList(waits, fireOnOneCallback=True)

    async def fetch_from(self, peer: bytes) -> None:
        """Ask *peer* for the consensus it holds; whatever comes of it."""
        contacts = self._office.contacts
        try:
            octets = await contacts.get(peer, consensuses.NAME, consensuses.LIMIT, PATIENCE)
            signed = self._read(octets)
            if signed is not None and self._wanted(signed):
                self.offer(signed, await self._keys(signed, peer))
        except (NoAnswer, BadDocument, NewerDocument, WrongDigest):
            return  # another one may have it

    def _wanted(self, signed: SignedConsensus) -> bool:
        held = self.latest
        if held is None or signed.consensus.valid_after > held.consensus.valid_after:
            return True
        same = signed.consensus.valid_after == held.consensus.valid_after
        return same and (signed.digest != held.digest or signed.tally.signed > held.tally.signed)

    async def _keys(self, signed: SignedConsensus, peer: bytes) -> dict[bytes, bytes]:
        """Its key documents, from *peer* where they are not at hand.

        :raises NoAnswer: it does not serve them.
        :raises PeerError: it serves something else.
        """
        keys: dict[bytes, bytes] = {}
        for digest in _digests(signed):
            octets = self.keys.get(digest) or self._office.archive.keys(digest)
            if octets is None:
                name = f"keys/{digest.hex()}"
                octets = await self._office.contacts.get(peer, name, keydoc.LIMIT, PATIENCE)
                KeyDocument.read(octets, digest)
            keys[digest] = octets
        return keys

    def _read(self, octets: bytes | None) -> SignedConsensus | None:
        """A consensus that enough have signed, by keys that were good for its time."""
        if octets is None:
            return None
        try:
            return Collection.read(octets, self._office.authorities).signed()
        except (BadDocument, NewerDocument):
            return None

    def _two(self, held: SignedConsensus, other: SignedConsensus) -> None:
        """Two for one instant, both with a majority: more authorities are bad than may be."""
        office, at = self._office, held.consensus.valid_after
        log.critical("There are two consensuses for one instant, and a majority signed each.")
        signers = [
            {who for who, each in signed.tally.standings.items() if each is Standing.SIGNED}
            for signed in (held, other)
        ]
        for who in signers[0] & signers[1]:
            office.conduct.note(who, at, Misdeed.TWO_CONSENSUSES, other.digest.hex())
        try:
            office.archive.keep_second(at, other.octets)
        except OperatorError as error:
            log.error("The archive cannot be written ({code}).", code=error.code)


def _digests(signed: SignedConsensus) -> list[bytes]:
    return [period.keys for period in signed.consensus.key_periods]
