"""Signed documents: DSSE envelopes (https://github.com/secure-systems-lab/dsse, version 1.0).

Signed is the pre-authentication encoding of the payload type and the payload's octets,
so that a signature on one kind of document says nothing about another.  A signature may
carry the key certificate that ties its key to an identity
(:mod:`mixminion.directory.certificate`).  The envelope is canonical JSON too, its
signatures ascending by key id; it is not signed itself, and may gain or lose signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from mixminion.crypto import kdf
from mixminion.crypto import sign as ed25519
from mixminion.directory import canonical
from mixminion.directory.documents import ascending
from mixminion.directory.errors import BadDocument

MOST_SIGNATURES = 64
EXPLAINED = 65_536
"""Octets of an envelope, at most, that is looked at again to say what is wrong with it."""


class PayloadType(StrEnum):
    """What an envelope holds."""

    DESCRIPTOR = "application/vnd.mixminion.descriptor+json"
    CONSENSUS = "application/vnd.mixminion.consensus+json"
    VOTE = "application/vnd.mixminion.vote+json"
    RECEIPT = "application/vnd.mixminion.receipt+json"
    KEY_CERTIFICATE = "application/vnd.mixminion.key-certificate+json"


class Signature(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One signature: ``keyid`` is the SHA-256 of the raw public key, in hexadecimal."""

    keyid: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    sig: Annotated[bytes, Meta(min_length=64, max_length=64)]
    certificate: Envelope | None = None

    def __post_init__(self) -> None:
        # Otherwise certificates could nest deeper than canonical JSON does, or be of any length.
        if self.certificate is None:
            return
        if [each.certificate for each in self.certificate.signatures] not in ([], [None]):
            raise ValueError("a certificate has more than one signature, or certified ones")


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A payload and the signatures on it, none of them checked yet."""

    payload: bytes
    payload_type: Annotated[str, Meta(max_length=128)] = msgspec.field(name="payloadType")
    signatures: Annotated[tuple[Signature, ...], Meta(max_length=MOST_SIGNATURES)]

    def encode(self) -> bytes:
        """The canonical octets."""
        return canonical.encode(msgspec.to_builtins(self))

    @classmethod
    def decode(cls, octets: bytes, payload_type: PayloadType, *, limit: int) -> Self:
        """Read an envelope of at most *limit* octets.

        :raises BadDocument: too long, not canonical, not an envelope, or of another type.
        """
        name = document_name(payload_type)
        if len(octets) > limit:
            raise BadDocument(document=name, problem=f"longer than {limit} octets")
        try:
            envelope = msgspec.json.decode(octets, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            _explain(octets, name)
            raise BadDocument(document=name, problem=str(error)) from None
        if envelope.payload_type != payload_type:
            raise BadDocument(document=name, problem="it is of another type")
        if not ascending(signature.keyid for signature in envelope.signatures):
            raise BadDocument(document=name, problem="the signatures are not in order")
        # Other members, or bits that base64 leaves over; an envelope has none beyond ASCII.
        if not canonical.again(envelope, octets):
            _explain(octets, name)
            raise BadDocument(document=name, problem="not in canonical form")
        return envelope

    @property
    def digest(self) -> bytes:
        """SHA-256 of the payload: the name of the document in it."""
        return kdf.sha256(self.payload)

    def signed_by(self, public: bytes, signature: Signature) -> bool:
        """Whether *signature* is that key's on this payload."""
        octets = pae(self.payload_type, self.payload)
        return signature.keyid == key_id(public) and ed25519.verify(public, signature.sig, octets)


def _explain(octets: bytes, name: str) -> None:
    """Say better why octets are refused, where that costs little: 8 MiB of junk are refused in a
    millisecond, and looked at closely in more than one second.

    :raises BadDocument: they are not canonical JSON.
    """
    if len(octets) <= EXPLAINED:
        canonical.decode(octets, document=name)


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs: its public half, the operation, and its certificate if it needs one."""

    public: bytes
    sign: Callable[[bytes], bytes]
    certificate: Envelope | None = None

    @classmethod
    def of(cls, private: bytes, certificate: Envelope | None = None) -> Self:
        """A signer with the raw private key (32 octets)."""
        return cls(
            ed25519.public(private), lambda octets: ed25519.sign(private, octets), certificate
        )


def sign(payload_type: PayloadType, payload: bytes, signers: Sequence[Signer]) -> Envelope:
    """*payload* in an envelope, signed by each of *signers*."""
    octets = pae(payload_type, payload)
    signatures = (
        Signature(
            keyid=key_id(signer.public), sig=signer.sign(octets), certificate=signer.certificate
        )
        for signer in signers
    )
    return Envelope(
        payload=payload,
        payload_type=str(payload_type),
        signatures=tuple(sorted(signatures, key=lambda signature: signature.keyid)),
    )


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: ``DSSEv1 LEN(type) type LEN(payload) payload``."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def key_id(public: bytes) -> str:
    """The key id of a raw public key."""
    return kdf.sha256(public).hex()


def document_name(payload_type: str) -> str:
    """What people call a document of that type: ``key certificate``."""
    return payload_type.rpartition(".")[2].removesuffix("+json").replace("-", " ")
