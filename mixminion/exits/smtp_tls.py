"""The client's side of TLS, by the operator's words for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    trustRootFromCertificates,
)

from mixminion.errors import OperatorError

NO = "no"
OPPORTUNISTIC = "opportunistic"
REQUIRED = "required"
IMPLICIT = "implicit"

CHECKED = frozenset({REQUIRED, IMPLICIT})
"""Where the server's certificate is checked, and nothing is sent to another."""


TlsMaker = Callable[[str], IOpenSSLClientConnectionCreator | None]
"""What to start TLS with for a host."""


class UnusableCertificates(OperatorError):
    """A ``ca-file`` cannot be used.  Field: ``path``."""

    code = "ca-file"
    sentence = "The ca-file {path} cannot be used: expected certificates in PEM that can be read."


def client(mode: str, host: str, ca_file: Path | None) -> IOpenSSLClientConnectionCreator | None:
    """What to start TLS with; None for :data:`NO`.

    :data:`OPPORTUNISTIC` looks at no certificate, since it would send in the clear as well;
    the others, :data:`CHECKED`, check it for *host* against *ca_file* or the system's
    authorities.

    :raises UnusableCertificates: *ca_file* is missing, unreadable or holds none.
    """
    if mode == NO:
        return None
    if mode == OPPORTUNISTIC:
        unchecked: IOpenSSLClientConnectionCreator = CertificateOptions(verify=False)
        return unchecked
    if ca_file is None:
        return optionsForClientTLS(host)
    try:
        found = x509.load_pem_x509_certificates(ca_file.read_bytes())
    except (OSError, ValueError):
        raise UnusableCertificates(path=ca_file) from None
    trusted = [Certificate.loadPEM(each.public_bytes(Encoding.PEM)) for each in found]
    return optionsForClientTLS(host, trustRootFromCertificates(trusted))
