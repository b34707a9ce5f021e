"""Signatures on a consensus that travel without it: all honest authorities have made the same
octets, and send each other what they have signed on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from mixminion.directory import certificate, documents
from mixminion.directory.certificate import Role
from mixminion.directory.documents import Digest, Document, Time, ascending
from mixminion.directory.envelope import MOST_SIGNATURES, Envelope, Signature
from mixminion.directory.errors import BadDocument, BadSignature

VERSION = 1
NAME = "set of signatures"
LIMIT = 262_144
"""Octets of a set of signatures: 64, each with its certificate."""


class Detached(Document, frozen=True, kw_only=True):
    """Signatures as they stand in an envelope, ascending by key id."""

    version: int = documents.written(VERSION)
    valid_after: Time  #: of the consensus
    digest: Digest  #: of its payload
    signatures: Annotated[tuple[Signature, ...], Meta(min_length=1, max_length=MOST_SIGNATURES)]

    def __post_init__(self) -> None:
        if not ascending(signature.keyid for signature in self.signatures):
            raise ValueError("the signatures are not in order")

    @classmethod
    def read(cls, octets: bytes) -> Self:
        """Read a set; its signatures are not checked.

        :raises BadDocument: malformed.
        """
        return documents.decode(cls, octets, name=NAME, version=VERSION, limit=LIMIT)


def merge(
    envelope: Envelope, signatures: Iterable[Signature], authorities: Sequence[bytes], now: float
) -> Envelope:
    """*envelope* with the good signatures of *authorities* (raw identity keys), one for each:
    the one it had, or the first of *signatures*; others are left out."""
    held: dict[str, Signature] = {}
    signers: set[bytes] = set()
    for signature in (*envelope.signatures, *signatures):
        who = signer(envelope, signature, authorities, now)
        if who is not None and who not in signers and signature.keyid not in held:
            signers.add(who)
            held[signature.keyid] = signature
    return msgspec.structs.replace(
        envelope, signatures=tuple(held[keyid] for keyid in sorted(held))
    )


def signer(
    envelope: Envelope, signature: Signature, authorities: Sequence[bytes], now: float
) -> bytes | None:
    """The identity of *authorities* whose good signature on *envelope* this is; None for any
    other."""
    try:
        for identity in authorities:
            if certificate.claims(signature, identity):
                key = certificate.signing_key(signature, Role.AUTHORITY, identity, now)
                return identity if envelope.signed_by(key, signature) else None
    except (BadDocument, BadSignature):
        pass
    return None
