"""``check-store``: all that can be known of a stopped server's store and keys, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixminion.app import checks
from mixminion.app.checks import store_folder
from mixminion.app.init import ServerKeys, published, read_identity_key
from mixminion.app.keystore import key_store
from mixminion.app.packet_keys import PacketKeyFolder
from mixminion.app.status import filling
from mixminion.config import Config
from mixminion.directory.certificate import LIMIT
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.disk import lock, private, sealed
from mixminion.disk.errors import PrivateFileError
from mixminion.errors import MixminionError, OperatorError, PeerError, render
from mixminion.interfaces import Clock
from mixminion.mix.config import ServerSection
from mixminion.mix.keys import periods_in, unfinished_in
from mixminion.mix.retirement import PacketKeysGone, PacketKeysRetired, TagsLeft
from mixminion.net.links import LinkCredentials
from mixminion.store.findings import Finding, Harmless, KeysUnfinished, Remark, foretold
from mixminion.store.inspection import Inspection, inspect
from mixminion.store.opening import FIRST
from mixminion.store.pages import Progress
from mixminion.util.times import LAST, to_text


class DescriptorDamaged(Remark):
    """What the server said of itself cannot be read any more."""

    code = "descriptor-damaged"
    sentence = (
        "The descriptor {path} is damaged: the next start makes a new one, and cannot notice when"
        " store and keys were put back together."
    )


class CertificateDamaged(Remark):
    """What the identity key says of the signing key cannot be read any more."""

    code = "signing-certificate-unreadable"
    sentence = "{path} is damaged: make it anew with `mixminion server certify`."


class StoreFilling(Remark):
    """The store is nearly full."""

    code = "store-filling"
    sentence = "{problem}"


class PacketKeysProtected(Harmless):
    """What only a passphrase opens was not opened."""

    code = "packet-keys-protected"
    sentence = "Packet keys have a passphrase ({count} of them) and were not opened."


@dataclass(slots=True)
class Report:
    """What a check found: what is wrong, each with code and sentence, what is only worth knowing,
    and how much there is."""

    store: Path
    wrong: dict[str, str] = field(default_factory=dict)  #: codes by sentence
    notes: dict[str, str] = field(default_factory=dict)  #: codes by sentence
    found: Inspection = field(default_factory=Inspection)

    def add(self, *findings: MixminionError) -> None:
        """Say it, once."""
        for finding in findings:
            said = self.notes if isinstance(finding, Harmless) else self.wrong
            said[foretold(finding) if isinstance(finding, Finding) else render(finding)] = (
                finding.code
            )

    def counts(self) -> Mapping[str, Any]:
        """How much there is, as JSON values; null what cannot be known."""
        found, held = self.found, self.found.held
        numbers: dict[str, Any] = {
            "store": str(self.store),
            "format": found.format or None,
            "start": found.start or None,
        }
        if held is None:
            names = ("incoming", "pool", "oldest-due", "tags", "used", "limit")
            return numbers | dict.fromkeys(names)
        return numbers | {
            "incoming": held.incoming.good,
            "pool": {"mix": held.mixes, "exit": held.exits},
            "oldest-due": _time(held.oldest_ms),
            "tags": {str(period): count for period, count in sorted(held.tags.items())},
            "used": found.used,
            "limit": found.limit,
        }


def check_store(config: Config, clock: Clock, progress: Progress) -> Report:
    """Look at the store and the keys of the server of *config*, which are not changed.

    Raises :class:`~mixminion.disk.errors.HomeInUse` when it runs.
    """
    with lock.undisturbed(config.home):
        return _Check(config, clock, progress).all()


class _Check:
    """One check, which collects what it finds."""

    def __init__(self, config: Config, clock: Clock, progress: Progress) -> None:
        self._config = config
        self._clock = clock
        self._progress = progress
        self._keys = ServerKeys(config.home)
        self._store = key_store(config)
        self._report = Report(store_folder(config))

    def all(self) -> Report:
        """Files and keys, then the store, then what both mean for packet keys."""
        report = self._report
        report.add(*checks.files(self._config))
        self._server_keys()
        self._packet_keys()
        found = report.found = inspect(
            report.store,
            map_size=self._config[ServerSection].store_limit,
            keys=self._store,
            published=self._published(),
            now_ms=int(self._clock.seconds() * 1000),
            progress=self._progress,
        )
        report.add(*found.found)
        report.add(*self._consequences(found))
        if found.held is not None:
            full = filling(found.used, found.limit, found.map_limit)
            report.add(*(StoreFilling(problem=each) for each in full))
        return report

    @contextmanager
    def _adding(self) -> Iterator[None]:
        """What is wrong is said; a file that is missing has been by now, if it matters."""
        try:
            yield
        except FileNotFoundError:
            pass
        except OperatorError as error:
            self._report.add(error)

    # -- keys ----------------------------------------------------------------------------------

    def _server_keys(self) -> None:
        keys = self._keys
        with self._adding():
            identity, signing = keys.read_identity(), keys.read_signing()
            LinkCredentials(identity, signing, private.read(keys.link_certificate), self._clock)
        with self._adding():
            self._statement(keys.document_certificate)
        with self._adding():
            if not sealed.is_protected(keys.identity):
                read_identity_key(keys.identity, None)

    @staticmethod
    def _statement(path: Path) -> None:
        try:
            Envelope.decode(private.read(path), PayloadType.KEY_CERTIFICATE, limit=LIMIT)
        except PeerError:
            raise CertificateDamaged(path=path) from None

    def _packet_keys(self) -> None:
        """Have a worker open them, unless it would be refused what has been complained of."""
        folder = self._store.folder
        if not folder.is_dir() or PrivateFileError.code in self._report.wrong.values():
            return
        if count := unfinished_in(folder):
            self._report.add(KeysUnfinished(count=count, keys=folder))
        with self._adding():
            identity = self._keys.read_identity()
            if count := PacketKeyFolder(folder, identity).look():
                self._report.add(PacketKeysProtected(count=count))

    def _published(self) -> int:
        path = self._keys.descriptor
        with self._adding():
            known = published(private.read(path))
            if known is not None:
                return known.start
            self._report.add(DescriptorDamaged(path=path))
        return FIRST

    # -- both ----------------------------------------------------------------------------------

    def _consequences(self, found: Inspection) -> Iterator[Finding]:
        """What a start does with packet keys, and with tags that have none."""
        folder = self._store.folder
        present = set(periods_in(folder)) if folder.is_dir() else set()
        if any(isinstance(each, Finding) and each.doubtful for each in found.found):
            if present:
                yield PacketKeysRetired()
            return
        tagged = set() if found.held is None else set(found.held.tags)
        ended = {period for period in tagged - present if present and period < min(present)}
        if gone := tagged - present - ended:
            yield PacketKeysGone(count=len(gone))
        if ended:
            yield TagsLeft(count=len(ended))


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else to_text(min(milliseconds // 1000, LAST))
