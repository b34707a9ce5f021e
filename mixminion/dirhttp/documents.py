"""A consensus with its key documents, as it is kept and handed on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import msgspec

from mixminion.directory.checks import SignedConsensus
from mixminion.directory.consensus import NAME
from mixminion.directory.documents import Count, Digest, Part, Time
from mixminion.directory.errors import BadDocument
from mixminion.directory.keydoc import KeyDocument
from mixminion.directory.view import View


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


class _Period(Part, frozen=True, kw_only=True):
    number: Count
    keys: Digest


class _Summary(Part, frozen=True, kw_only=True):
    """Of a consensus no more than is needed to keep it; reading this costs a thirtieth of
    reading it all."""

    valid_after: Time
    key_periods: tuple[_Period, ...]


class _Payload(msgspec.Struct, frozen=True):
    payload: bytes


@dataclass(frozen=True, slots=True)
class Known:
    """A held consensus in short."""

    digest: bytes  #: of its payload
    valid_after: int
    periods: tuple[tuple[int, bytes], ...]  #: key periods: number, digest of the key document

    @property
    def keys(self) -> frozenset[bytes]:
        """The digests of the key documents that it lists."""
        return frozenset(digest for _, digest in self.periods)

    @classmethod
    def of(cls, documents: Documents) -> Self:
        """The same of documents at hand."""
        signed = documents.signed
        periods = ((period.number, period.keys) for period in signed.consensus.key_periods)
        return cls(signed.digest, signed.consensus.valid_after, tuple(periods))

    @classmethod
    def read(cls, octets: bytes) -> Self:
        """From an envelope that was verified before it was kept.

        :raises BadDocument: it has been damaged since.
        """
        try:
            payload = msgspec.json.decode(octets, type=_Payload).payload
            found = msgspec.json.decode(payload, type=_Summary)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadDocument(document=NAME, problem="damaged") from error
        return cls(
            hashlib.sha256(payload).digest(),
            found.valid_after,
            tuple((period.number, period.keys) for period in found.key_periods),
        )
