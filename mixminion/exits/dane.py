"""DANE for mail (RFC 7672): certificates that the DNS itself vouches for.

Only a resolver that validates DNSSEC, on this machine, can say that a record is vouched for.
Records of usage 2 (an authority) and 3 (the server itself) count; mail servers know no others.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL, crypto
from service_identity import VerificationError
from service_identity.pyopenssl import verify_hostname
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions
from twisted.python.failure import Failure
from zope.interface import implementer

AUTHORITY, SERVER = 2, 3
CERTIFICATE, PUBLIC_KEY = 0, 1
WHOLE, SHA256, SHA512 = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Record:
    """One TLSA record."""

    usage: int
    selector: int
    matching: int
    data: bytes

    def fits(self, certificate: x509.Certificate) -> bool:
        """Whether it is about *certificate*."""
        if self.selector == CERTIFICATE:
            octets = certificate.public_bytes(Encoding.DER)
        else:
            key = certificate.public_key()
            octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if self.matching == SHA256:
            octets = hashlib.sha256(octets).digest()
        elif self.matching == SHA512:
            octets = hashlib.sha512(octets).digest()
        return hmac.compare_digest(octets, self.data)


def parse(payloads: Iterable[bytes]) -> tuple[Record, ...]:
    """The records that can be used; others say no more than that there is to be TLS."""
    records = [
        Record(octets[0], octets[1], octets[2], octets[3:])
        for octets in payloads
        if len(octets) > 3
    ]
    return tuple(
        record
        for record in records
        if record.usage in (AUTHORITY, SERVER)
        and record.selector in (CERTIFICATE, PUBLIC_KEY)
        and record.matching in (WHOLE, SHA256, SHA512)
    )


@implementer(IOpenSSLClientConnectionCreator)
class DaneTls:
    """The client's side of TLS with *host*, whose certificate one of *records* has to fit; any
    certificate will do where there are none."""

    def __init__(self, host: str, records: tuple[Record, ...]) -> None:
        self._host = host
        self._records = records
        self._context = CertificateOptions(verify=False).getContext()
        self._context.set_info_callback(self._on)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """See :class:`IOpenSSLClientConnectionCreator`."""
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(tlsProtocol)
        connection.set_tlsext_host_name(self._host.encode("ascii"))
        return connection

    def _on(self, connection: SSL.Connection, where: int, returned: int) -> None:
        """What OpenSSL tells: with the handshake done, the certificate is judged."""
        if not where & SSL.SSL_CB_HANDSHAKE_DONE or not self._records:
            return
        try:
            fits = self._fits(connection)
        except Exception:  # of many kinds, all of which say that it does not
            fits = False
        if not fits:
            failure = Failure(VerificationError(errors=[]))
            connection.get_app_data().failVerification(failure)

    def _fits(self, connection: SSL.Connection) -> bool:
        chain = connection.get_peer_cert_chain() or []
        if not chain:
            return False
        leaf = chain[0].to_cryptography()
        if any(each.usage == SERVER and each.fits(leaf) for each in self._records):
            return True  # its name and dates do not matter (RFC 7672, 3.1.1)
        authorities = [each for each in self._records if each.usage == AUTHORITY]
        if not authorities or not _leads(chain, authorities):
            return False
        verify_hostname(connection, self._host)
        return True


def _leads(chain: Sequence[crypto.X509], authorities: Iterable[Record]) -> bool:
    """Whether the first certificate of *chain* was issued below one of *authorities*."""
    store = crypto.X509Store()
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    trusted = [
        each for each in chain if any(record.fits(each.to_cryptography()) for record in authorities)
    ]
    for record in authorities:
        if (record.selector, record.matching) == (CERTIFICATE, WHOLE):
            trusted.append(crypto.load_certificate(crypto.FILETYPE_ASN1, record.data))
    if not trusted:
        return False
    for each in trusted:
        store.add_cert(each)
    try:
        crypto.X509StoreContext(store, chain[0], list(chain[1:])).verify_certificate()
    except crypto.X509StoreContextError:
        return False
    return True
