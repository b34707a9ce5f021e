"""TLS 1.3 as links use it: pinned identities, hybrid key exchange, nothing resumed.

OpenSSL builds the chain, checks the link certificate's signature, its dates by the clock we
set, and the authority bit; what it cannot know, whose the signing certificate is, it asks
:class:`LinkConnection`.  Refusals happen inside the handshake, so that the other side gets
the alert that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from OpenSSL._util import lib as _openssl
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from zope.interface import implementer

from mixminion.interfaces import Clock
from mixminion.net import certificates, errors
from mixminion.net.links import Link, LinkCredentials
from mixminion.util.times import to_text

HYBRID = "X25519MLKEM768"
CLASSICAL = "X25519"  #: only where the insecure mode is named
CIPHERS = b"TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"

CONTEXT = 60.0
"""Seconds for which a listener uses one context."""

# X509_V_ERR_... (openssl/x509_vfy.h)
_NO_ISSUER = 20
_NOT_YET_VALID = 9
_HAS_EXPIRED = 10


class NoCommonProtocol(SSL.Error):
    """Raised in the ALPN callback: OpenSSL then sends the alert and the handshake fails.

    An ``SSL.Error`` with OpenSSL's shape of arguments, because that is what
    ``TLSMemoryBIOProtocol`` takes for a failed handshake."""

    def __init__(self) -> None:
        super().__init__([("mixminion", "", "no application protocol")])


class LinkConnection(SSL.Connection):
    """One TLS connection and what was found out about the other side.

    ``peer_identity`` is its proven identity (32 octets), None while there is none;
    ``refusal`` says why its chain was refused.
    """

    def __init__(
        self,
        context: SSL.Context,
        expected: bytes | None,
        clock: Clock,
        *,
        dated: bool = True,
    ) -> None:
        super().__init__(context, None)
        self.expected = expected
        self.clock = clock
        self._dated = dated
        self.peer_identity: bytes | None = None
        self.refusal: errors.LinkRefused | None = None
        self._signing: certificates.Signing | None = None

    def judge(self, certificate: x509.Certificate, error: int, depth: int) -> None:
        """One step of OpenSSL's verification; raises :class:`LinkRefused` to refuse.

        It comes with the signing certificate (depth 1), whose issuer OpenSSL does not know,
        and then with the link certificate (depth 0)."""
        if depth == 1 and error == _NO_ISSUER:
            signing = certificates.read_signing(certificate)
            if self.expected is not None and signing.identity != self.expected:
                raise errors.WrongIdentity()
            self._signing = signing
        elif depth == 0 and self._signing is not None:
            self._judge_link(certificate, error, self._signing)
        else:
            raise errors.BadCertificate()

    def _judge_link(
        self, certificate: x509.Certificate, error: int, signing: certificates.Signing
    ) -> None:
        certificates.public_key(certificate)
        not_before, not_after = certificates.dates(certificate)
        if not_before < signing.not_before or not_after > signing.not_after:
            raise errors.BadCertificate()
        if not self._dated and error in (_HAS_EXPIRED, _NOT_YET_VALID):
            error = 0
        now = self.clock.seconds()
        if error == _HAS_EXPIRED:
            if now > signing.not_after:
                raise errors.Expired(ended=to_text(signing.not_after))
            raise errors.ClockWrong(minutes=int(now - not_after) // 60 + 20)
        if error == _NOT_YET_VALID:
            if now < signing.not_before:
                raise errors.NotYetValid(begins=to_text(signing.not_before))
            raise errors.ClockWrong(minutes=int(not_before - now) // 60 + 20)
        if error:
            raise errors.BadCertificate()
        self.peer_identity = signing.identity


@implementer(IOpenSSLServerConnectionCreator)
class ServerTLS:
    """The listening side.  Its link key is renewed while it runs.

    A context judges dates at the moment that it was told first (OpenSSL does not replace a
    store's time), so none serves longer than :data:`CONTEXT`.
    """

    def __init__(
        self, credentials: LinkCredentials, alpn: Sequence[bytes], clock: Clock, groups: str
    ) -> None:
        self._credentials = credentials
        self._select = _selector(tuple(alpn))
        self._clock = clock
        self._groups = groups
        self._link: Link | None = None
        self._judging = 0.0
        self._context: SSL.Context | None = None

    def serverConnectionForTLS(self, tlsProtocol: Any) -> LinkConnection:
        """A connection that shows the current link certificate."""
        link, now = self._credentials.current(), self._clock.seconds()
        fresh = link is self._link and 0 <= now - self._judging < CONTEXT
        if self._context is None or not fresh:
            self._context = _context(link, self._groups)
            self._context.set_alpn_select_callback(self._select)
            _judge_dates_at(self._context, now)
            self._link, self._judging = link, now
        return LinkConnection(self._context, None, self._clock)


@implementer(IOpenSSLClientConnectionCreator)
class ClientTLS:
    """The dialling side, pinned to the identity it expects."""

    def __init__(
        self,
        expected_identity: bytes | None,
        credentials: LinkCredentials | None,
        alpn: Sequence[bytes],
        clock: Clock,
        groups: str,
        *,
        dated: bool,
    ) -> None:
        self._dated = dated
        self._expected = expected_identity
        self._credentials = credentials
        self._alpn = list(alpn)
        self._clock = clock
        self._groups = groups

    def clientConnectionForTLS(self, tlsProtocol: Any) -> LinkConnection:
        """A connection that will speak to the expected identity only."""
        link = None if self._credentials is None else self._credentials.current()
        context = _context(link, self._groups)
        context.set_alpn_protos(self._alpn)
        _judge_dates_at(context, self._clock.seconds())
        return LinkConnection(context, self._expected, self._clock, dated=self._dated)


def server_tls(
    credentials: LinkCredentials, alpn: Sequence[bytes], clock: Clock, groups: str = HYBRID
) -> ServerTLS:
    """TLS for a listener that shows *credentials* and speaks one of *alpn*.

    A dialler may show a chain, which then must be sound (:func:`peer_identity`), or none.
    *groups* is a colon-separated list in OpenSSL's names.
    """
    return ServerTLS(credentials, alpn, clock, groups)


def client_tls(
    expected_identity: bytes | None,
    credentials: LinkCredentials | None,
    alpn: Sequence[bytes],
    clock: Clock,
    groups: str = HYBRID,
    *,
    dated: bool = True,
) -> ClientTLS:
    """TLS for one destination: its identity from the directory (None: any sound chain will
    do), our own credentials for a server that dials (None: a client, which shows nothing).
    Without *dated* the chain's dates do not matter, where nothing depends on whose it is."""
    return ClientTLS(expected_identity, credentials, alpn, clock, groups, dated=dated)


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What a link came to use, for ``status``."""

    version: str  #: ``TLSv1.3``
    group: str  #: ``X25519MLKEM768``
    cipher: str
    protocol: bytes  #: by ALPN; empty for none


def peer_identity(transport: object) -> bytes | None:
    """The identity the other side of a TLS transport has proved: 32 octets, or None for a
    client that showed nothing (or a transport without TLS)."""
    connection = _connection(transport)
    return None if connection is None else connection.peer_identity


def negotiated(transport: object) -> Negotiated | None:
    """What the handshake of a TLS transport settled; None without TLS or before its end."""
    connection = _connection(transport)
    group = None if connection is None else connection.get_group_name()
    if connection is None or group is None:
        return None
    return Negotiated(
        connection.get_protocol_version_name(),
        group,
        connection.get_cipher_name() or "",
        connection.get_alpn_proto_negotiated(),
    )


def exported(transport: object, label: bytes, length: int) -> bytes:
    """*length* octets that the two ends of this TLS session know and nobody else, others under
    each *label* (RFC 8446, section 7.5); only after the handshake."""
    connection = _connection(transport)
    if connection is None:
        raise RuntimeError("there is no TLS")
    octets: bytes = connection.export_keying_material(label, length)
    return octets


def refusal_of(transport: object) -> errors.LinkRefused | None:
    """Why this side refused the other's chain, once the handshake has failed."""
    connection = _connection(transport)
    return None if connection is None else connection.refusal


def _connection(transport: object) -> LinkConnection | None:
    handle = getattr(transport, "getHandle", lambda: None)()
    return handle if isinstance(handle, LinkConnection) else None


def _context(link: Link | None, groups: str) -> Any:
    """What both sides have in common."""
    context: Any = SSL.Context(SSL.TLS_METHOD)  # its stubs are older than it
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_max_proto_version(SSL.TLS1_3_VERSION)
    # OP_NO_TICKET alone still resumes (from the cache), so both; early data is off by default.
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_tls13_ciphersuites(CIPHERS)
    _force_groups(context, groups)
    if link is not None:
        context.use_privatekey(link.private)
        context.use_certificate(link.certificate)
        context.add_extra_chain_cert(link.signing)
    context.set_verify(SSL.VERIFY_PEER, _verify)
    return context


def _force_groups(context: SSL.Context, groups: str) -> None:
    """pyOpenSSL has no public call for this; the only private one we make."""
    if _openssl.SSL_CTX_set1_curves_list(context._context, groups.encode("ascii")) != 1:
        raise ValueError(f"OpenSSL does not know the groups {groups!r}")


def _judge_dates_at(context: SSL.Context, now: float) -> None:
    store = context.get_cert_store()
    assert store is not None
    store.set_time(certificates.moment(now))


def _verify(connection: SSL.Connection, cert: Any, error: int, depth: int, ok: int) -> bool:
    assert isinstance(connection, LinkConnection)
    try:
        with certificates.warnings_refused():
            connection.judge(cert.to_cryptography(), error, depth)
    except errors.LinkRefused as refusal:
        connection.refusal = refusal
        return False
    except Exception:
        # Whatever a hostile certificate does to a parser: out of this callback it would be
        # raised from do_handshake and end as a traceback.
        connection.refusal = errors.BadCertificate()
        return False
    return True


def _selector(ours: tuple[bytes, ...]) -> Callable[[SSL.Connection, list[bytes]], bytes]:
    def select(connection: SSL.Connection, theirs: list[bytes]) -> bytes:
        for protocol in ours:
            if protocol in theirs:
                return protocol
        raise NoCommonProtocol()

    return select
