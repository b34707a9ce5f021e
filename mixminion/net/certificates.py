"""The X.509 profile of links: what is issued, and what is believed (doc/spec/mmtp.rst).

An identity key certifies a signing key for 30 to 90 days; the signing key certifies link
keys for little more than an hour.  On the wire go the link certificate and the signing
certificate.  Names carry nothing.  The identity has no certificate: its raw 32 octets are
the authority key identifier of the signing certificate.  Serial numbers are taken from
digests, so that issuing needs no randomness.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from mixminion.net.errors import BadSigningCertificate

DAY = 86_400
SHORTEST = 30 * DAY  #: of a signing certificate
LONGEST = 90 * DAY
LINK_BEFORE = 20 * 60  #: a link certificate begins so many seconds before it is made
LINK_AFTER = 50 * 60  #: and ends so many after
RENEWAL = 30 * 60  #: and is replaced by one for a new key after so many

# A clock wrong by up to 20 minutes is always borne, in either direction (RENEWAL +
# 20 minutes <= LINK_AFTER); one wrong by an hour never is (RENEWAL + LINK_BEFORE < 3600).


class NotOfProfile(Exception):
    """A certificate that is not of this profile; the argument says what is wrong."""


@dataclass(frozen=True, slots=True)
class Signing:
    """A signing certificate that was checked: whose it is, which key, and its dates."""

    identity: bytes  #: 32 octets
    public: bytes  #: 32 octets, of the signing key
    not_before: int
    not_after: int


def certify(
    identity_private: bytes, signing_public: bytes, not_before: int, not_after: int
) -> bytes:
    """The signing certificate, DER: the identity says that this signing key is its own.

    *identity_private* and *signing_public* are raw Ed25519 keys of 32 octets; dates are Unix
    seconds, 30 to 90 days apart, else :class:`BadSigningCertificate`.
    """
    if not SHORTEST <= not_after - not_before <= LONGEST:
        raise BadSigningCertificate(problem="would not be valid for 30 to 90 days")
    identity = Ed25519PrivateKey.from_private_bytes(identity_private)
    builder = _builder("identity", "signing", signing_public, not_before, not_after)
    builder = _extended(builder, signing_public, identity.public_key().public_bytes_raw(), ca=True)
    return builder.sign(identity, None).public_bytes(Encoding.DER)


def issue_link(signing_private: bytes, signing: Signing, link_public: bytes, now: float) -> bytes:
    """The certificate of a link key, DER, made at *now*; never beyond the signing key's dates."""
    made = max(
        min(int(now), signing.not_after - LINK_AFTER),
        signing.not_before + LINK_BEFORE,
    )
    builder = _builder("signing", "link", link_public, made - LINK_BEFORE, made + LINK_AFTER)
    builder = _extended(builder, link_public, signing.public, ca=False)
    key = Ed25519PrivateKey.from_private_bytes(signing_private)
    return builder.sign(key, None).public_bytes(Encoding.DER)


def load(der: bytes) -> x509.Certificate:
    """A certificate from its DER; :class:`NotOfProfile` for anything else."""
    try:
        with warnings_refused():
            return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion, UserWarning) as error:
        raise NotOfProfile("cannot be read") from error


@contextmanager
def warnings_refused() -> Iterator[None]:
    """What the library only warns of, on standard error, is raised: others' certificates
    write nothing there, and one that it will refuse some day is refused now."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def read_signing(certificate: x509.Certificate) -> Signing:
    """Check a signing certificate in itself and its identity's signature on it; not the dates
    against a clock.  Raises :class:`NotOfProfile`."""
    not_before, not_after = dates(certificate)
    if not 0 < not_after - not_before <= LONGEST:
        raise NotOfProfile("is valid for more than 90 days")
    public = public_key(certificate)
    try:
        with warnings_refused():
            found = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError, UserWarning) as error:
        raise NotOfProfile("names no identity") from error
    identity = found.value.key_identifier
    if identity is None or len(identity) != 32:
        raise NotOfProfile("names no identity")
    if certificate.signature_algorithm_oid != SignatureAlgorithmOID.ED25519:
        raise NotOfProfile("is not signed with Ed25519")
    try:
        Ed25519PublicKey.from_public_bytes(identity).verify(
            certificate.signature, certificate.tbs_certificate_bytes
        )
    except (InvalidSignature, ValueError) as error:
        raise NotOfProfile("is not signed by the identity it names") from error
    return Signing(identity, public, not_before, not_after)


def public_key(certificate: x509.Certificate) -> bytes:
    """The raw Ed25519 key a certificate is for; :class:`NotOfProfile` for any other kind."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotOfProfile("is for a key of an unknown kind") from error
    if not isinstance(key, Ed25519PublicKey):
        raise NotOfProfile("is not for an Ed25519 key")
    return key.public_bytes_raw()


def dates(certificate: x509.Certificate) -> tuple[int, int]:
    """First and last second of validity, Unix time."""
    return (
        int(certificate.not_valid_before_utc.timestamp()),
        int(certificate.not_valid_after_utc.timestamp()),
    )


def moment(seconds: float) -> datetime:
    """Unix time as X.509 libraries want it."""
    return datetime.fromtimestamp(int(seconds), UTC)


def _name(word: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"mixminion {word}")])


def _builder(
    issuer: str, subject: str, public: bytes, not_before: int, not_after: int
) -> x509.CertificateBuilder:
    serial = hashlib.sha256(public + not_before.to_bytes(8, "big", signed=True)).digest()[:16]
    return (
        x509.CertificateBuilder()
        .issuer_name(_name(issuer))
        .subject_name(_name(subject))
        .public_key(Ed25519PublicKey.from_public_bytes(public))
        .serial_number(int.from_bytes(serial, "big") | 1)
        .not_valid_before(moment(not_before))
        .not_valid_after(moment(not_after))
    )


def _extended(
    builder: x509.CertificateBuilder, subject: bytes, authority: bytes, *, ca: bool
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        builder.add_extension(x509.BasicConstraints(ca, 0 if ca else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier(subject), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(authority, None, None), critical=False)
    )
