"""Key certificates: an identity key's statement that another key signs documents for it.

The identity key may then be kept off line.  Servers and authorities use the same form; the
role keeps one from standing in for the other.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

from mixminion.directory import documents
from mixminion.directory.documents import Document, Key, Time
from mixminion.directory.envelope import Envelope, PayloadType, Signature, Signer, key_id, sign
from mixminion.directory.errors import BadDocument, BadSignature, NewerDocument

VERSION = 1
LIMIT = 4096
"""Octets of a key certificate's payload."""


class Role(StrEnum):
    """Whose documents the certified key signs."""

    SERVER = "server"
    AUTHORITY = "authority"


class KeyCertificate(Document, frozen=True, kw_only=True):
    """``identity`` says that ``key`` signs for it from ``valid_after`` until ``valid_until``."""

    version: int = documents.written(VERSION)
    role: Role
    identity: Key
    key: Key
    valid_after: Time
    valid_until: Time


def certify(
    role: Role, identity_private: bytes, key: bytes, *, valid_after: int, valid_until: int
) -> Envelope:
    """The statement of the identity (raw private key) over the public signing *key*."""
    signer = Signer.of(identity_private)
    certificate = KeyCertificate(
        role=role,
        identity=signer.public,
        key=key,
        valid_after=valid_after,
        valid_until=valid_until,
    )
    return sign(PayloadType.KEY_CERTIFICATE, certificate.encode(), [signer])


def read(envelope: Envelope) -> KeyCertificate:
    """What a certificate says, its signature not checked.

    :raises BadDocument: it is malformed.
    """
    name = "key certificate"
    try:
        return documents.decode(
            KeyCertificate, envelope.payload, name=name, version=VERSION, limit=LIMIT
        )
    except NewerDocument as error:  # one signature among others: what is under it may be read
        raise BadDocument(document=name, problem="of a version that is not known") from error


def signing_key(signature: Signature, role: Role, identity: bytes, now: float) -> bytes:
    """The public key with which *signature* must verify to count as *identity*'s at *now*:
    the certified key, or the identity itself where no certificate is carried.

    :raises BadSignature: the certificate is not *identity*'s, for another role, or not valid now.
    :raises BadDocument: the certificate is malformed.
    """
    envelope = signature.certificate
    if envelope is None:
        return identity
    certificate = read(envelope)
    if envelope.payload_type != PayloadType.KEY_CERTIFICATE or certificate.role != role:
        problem = "the certificate is of another kind"
    elif certificate.identity != identity:
        problem = "the certificate is another identity's"
    elif not _signed_by(envelope, identity):
        problem = "the certificate's signature is wrong"
    elif now < certificate.valid_after:
        problem = "the key certificate is not valid yet"
    elif now >= certificate.valid_until:
        problem = "the key certificate has expired"
    else:
        return certificate.key
    raise BadSignature(document=f"{role} document", problem=problem)


@lru_cache(maxsize=256)
def _signed_by(certificate: Envelope, identity: bytes) -> bool:
    """Whether *identity* signed it; asked again with every document of one key."""
    return any(certificate.signed_by(identity, each) for each in certificate.signatures[:1])


def claims(signature: Signature, identity: bytes) -> bool:
    """Whether *signature* says it is *identity*'s, by its certificate or its key id.

    :raises BadDocument: the certificate is malformed.
    """
    if signature.certificate is None:
        return signature.keyid == key_id(identity)
    return read(signature.certificate).identity == identity
