"""A server's link credentials: link keys made in memory, renewed while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mixminion.interfaces import Clock
from mixminion.net.certificates import (
    RENEWAL,
    NotOfProfile,
    certify,
    issue_link,
    load,
    read_signing,
)
from mixminion.net.errors import BadSigningCertificate
from mixminion.util.times import to_text

__all__ = ["Link", "LinkCredentials", "certify"]


@dataclass(frozen=True, slots=True)
class Link:
    """One link key and what vouches for it."""

    private: Ed25519PrivateKey
    certificate: x509.Certificate  #: the link key's, issued by the signing key
    signing: x509.Certificate  #: the signing key's, issued by the identity


class LinkCredentials:
    """What a server shows on its links, both when it listens and when it dials.

    *signing_private* is the raw 32-octet Ed25519 key, *signing_certificate* the DER that
    :func:`certify` gave.  Raises :class:`BadSigningCertificate` when they do not belong
    together.  Link keys live here and nowhere else; each serves 30 minutes of new links.
    """

    def __init__(
        self,
        identity_public: bytes,
        signing_private: bytes,
        signing_certificate: bytes,
        clock: Clock,
    ) -> None:
        try:
            certificate = load(signing_certificate)
            signing = read_signing(certificate)
        except NotOfProfile as error:
            raise BadSigningCertificate(problem=str(error)) from error
        public = Ed25519PrivateKey.from_private_bytes(signing_private).public_key()
        if signing.identity != identity_public:
            raise BadSigningCertificate(problem="is of another identity")
        if signing.public != public.public_bytes_raw():
            raise BadSigningCertificate(problem="is for another signing key")
        self.identity_public = identity_public
        self.not_before = signing.not_before
        self.not_after = signing.not_after
        self._signing_private = signing_private
        self._certificate = certificate
        self._signing = signing
        self._clock = clock
        self._current: Link | None = None
        self._made = 0.0

    def check(self) -> None:
        """Raise :class:`BadSigningCertificate` unless our own certificate is valid now."""
        now = self._clock.seconds()
        if now > self.not_after:
            raise BadSigningCertificate(problem=f"ended at {to_text(self.not_after)}")
        if now < self.not_before:
            problem = f"begins only at {to_text(self.not_before)} by this machine's clock"
            raise BadSigningCertificate(problem=problem)

    def current(self) -> Link:
        """The link key for a connection that begins now: the same for up to 30 minutes."""
        now = self._clock.seconds()
        if self._current is None or not 0 <= now - self._made < RENEWAL:
            self._current = self.fresh()
            self._made = now
        return self._current

    def fresh(self) -> Link:
        """A new link key with its certificates."""
        private = Ed25519PrivateKey.generate()
        der = issue_link(
            self._signing_private,
            self._signing,
            private.public_key().public_bytes_raw(),
            self._clock.seconds(),
        )
        return Link(private, load(der), self._certificate)
