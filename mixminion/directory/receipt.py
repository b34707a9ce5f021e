"""A receipt: what an authority says of one server, signed, and by its clock.

It answers an upload and any later question; a server takes from it whether it is listed and why
not, and how wrong its own clock is.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from mixminion.directory import certificate, documents
from mixminion.directory.certificate import Role
from mixminion.directory.documents import Digest, Document, Key, Text, Time
from mixminion.directory.envelope import Envelope, PayloadType, Signer, sign
from mixminion.directory.errors import BadDocument, BadSignature

VERSION = 1
NAME = "receipt"
LIMIT = 16_384
"""Octets of a receipt in its envelope."""


class State(StrEnum):
    """What a server is to an authority."""

    LISTED = "listed"  #: it votes for it
    WAITING = "waiting"  #: for approval, or for its time to come
    UNREACHABLE = "unreachable"  #: what it publishes does not answer
    REFUSED = "refused"  #: its descriptor is
    BANNED = "banned"
    UNKNOWN = "unknown"  #: it has never uploaded anything that was taken


class Receipt(Document, frozen=True, kw_only=True):
    """Members are in ``doc/spec/directory.rst``."""

    version: int = documents.written(VERSION)
    authority: Key  #: whose words these are
    time: Time  #: by its clock
    identity: Key  #: the server's
    digest: Digest | None = None  #: of the payload of the descriptor that it has of it
    state: State
    listed: bool = False  #: in the last consensus
    reason: Text  #: a sentence for the server's operator

    def sign(self, signer: Signer) -> bytes:
        """The receipt in its envelope; *signer* is the authority's signing key with its
        certificate."""
        return sign(PayloadType.RECEIPT, self.encode(), [signer]).encode()

    @classmethod
    def verify(cls, octets: bytes, authority: bytes, now: float) -> Self:
        """Read what the authority with that raw identity key says.

        *now* is for its certificate only: the clock that the receipt is to tell may be wrong.

        :raises BadDocument: malformed.
        :raises BadSignature: these are not its words.
        """
        envelope = Envelope.decode(octets, PayloadType.RECEIPT, limit=LIMIT)
        receipt = documents.decode(cls, envelope.payload, name=NAME, version=VERSION, limit=LIMIT)
        if len(envelope.signatures) != 1:
            raise BadDocument(document=NAME, problem="it has not exactly one signature")
        if receipt.authority != authority:
            raise BadSignature(document=NAME, problem="it is another authority's")
        (signature,) = envelope.signatures
        key = certificate.signing_key(signature, Role.AUTHORITY, authority, now)
        if not envelope.signed_by(key, signature):
            raise BadSignature(document=NAME, problem="the signature is wrong")
        return receipt
