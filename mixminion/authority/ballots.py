"""A vote as it goes round: with the signatures of its author and of others who had it.

Whether a signature counts is judged at the vote's own valid-after, not by anybody's clock, so
that all come to the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from mixminion.crypto import kdf
from mixminion.directory import documents
from mixminion.directory.detached import signer
from mixminion.directory.envelope import Envelope, PayloadType, Signature, Signer, sign
from mixminion.directory.errors import BadDocument, NewerDocument
from mixminion.directory.vote import LIMIT, NAME, VERSION, Vote
from mixminion.errors import PeerError


class NotABallot(PeerError):
    """Octets that are no authority's vote.  ``word`` says why, ``blamed`` who has signed them
    all the same (raw identity keys)."""

    code = "no-ballot"
    sentence = "This is not an authority's vote ({word})."


@dataclass(frozen=True, slots=True)
class Ballot:
    """One payload of one author, and the good signatures on it, one for each authority."""

    vote: Vote
    digest: bytes  #: of the payload
    payload: bytes = field(repr=False)
    signatures: Mapping[bytes, Signature] = field(repr=False)  #: by identity

    @property
    def author(self) -> bytes:
        """Whose vote it is."""
        return self.vote.authority

    @property
    def octets(self) -> bytes:
        """In its envelope."""
        ordered = sorted(self.signatures.values(), key=lambda signature: signature.keyid)
        return Envelope(
            payload=self.payload, payload_type=str(PayloadType.VOTE), signatures=tuple(ordered)
        ).encode()

    def joined(self, other: Ballot) -> Ballot:
        """With the signatures of *other*, which has the same payload."""
        return replace(self, signatures={**other.signatures, **self.signatures})

    def countersigned(self, identity: bytes, by: Signer) -> Ballot:
        """With *identity*'s signature."""
        (signature,) = sign(PayloadType.VOTE, self.payload, [by]).signatures
        return replace(self, signatures={**self.signatures, identity: signature})

    @classmethod
    def read(
        cls,
        octets: bytes,
        authorities: Sequence[bytes],
        near: float,
        known: Callable[[bytes], Ballot | None] = lambda digest: None,
    ) -> Self:
        """Read what somebody sent.  Nothing large is decoded before one of *authorities* (raw
        identity keys) is found to have signed it at *near*; what is *known* by its digest is not
        decoded again.

        :raises NotABallot: it is not a vote, or its author has not signed it.
        """
        try:
            envelope = Envelope.decode(octets, PayloadType.VOTE, limit=LIMIT)
        except BadDocument:
            raise NotABallot(word="malformed", blamed=frozenset()) from None
        digest = kdf.sha256(envelope.payload)
        held = known(digest)
        if held is not None:
            lacking = [each for each in authorities if each not in held.signatures]
            more = _signers(envelope, lacking, held.vote.valid_after)
            return cls(held.vote, digest, held.payload, {**more, **held.signatures})
        signed = _signers(envelope, authorities, near)
        if not signed:
            raise NotABallot(word="unsigned", blamed=frozenset())
        try:
            vote = documents.decode(Vote, envelope.payload, name=NAME, version=VERSION, limit=LIMIT)
        except (BadDocument, NewerDocument):
            raise NotABallot(word="malformed", blamed=frozenset(signed)) from None
        if vote.valid_after != near:
            signed = _signers(envelope, authorities, vote.valid_after)
        if vote.authority not in signed:  # he may have signed; somebody left that out
            raise NotABallot(word="unsigned", blamed=frozenset())
        return cls(vote, digest, envelope.payload, signed)


def _signers(envelope: Envelope, authorities: Iterable[bytes], at: float) -> dict[bytes, Signature]:
    """The first good signature of each of *authorities*."""
    wanted = list(dict.fromkeys(authorities))
    found: dict[bytes, Signature] = {}
    for signature in envelope.signatures:
        who = signer(envelope, signature, wanted, at)
        if who is not None:
            found[who] = signature
            wanted.remove(who)
    return found
