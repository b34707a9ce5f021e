"""An authority's keys: the identity, which may be kept off line, and the signing key it certifies.

Both may be protected by a passphrase; the signing key's is given when the authority starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mixminion.app import passphrase
from mixminion.app.init import DAY, IDENTITY, DamagedKeyFile, read_identity_key, to_hex
from mixminion.app.usual import AUTHORITY_SIGNING_DAYS
from mixminion.config.secret import SecretSource
from mixminion.crypto import sign
from mixminion.crypto.passphrase import Passphrase
from mixminion.crypto.rng import SystemRandom
from mixminion.directory import certificate
from mixminion.directory.certificate import LIMIT, KeyCertificate, Role
from mixminion.directory.envelope import Envelope, PayloadType, Signer
from mixminion.directory.errors import BadDocument
from mixminion.disk import private, sealed
from mixminion.errors import EX_CANTCREAT, EX_CONFIG, OperatorError
from mixminion.util.times import to_text

SIGNING = b"authority-signing-key"  #: the purpose of a signing key's file
KEY = 32


class HasAuthority(OperatorError):
    """The home has an authority's identity already."""

    code = "has-authority"
    sentence = "There is an authority in {home} already; name another folder with --home."
    exit_code = EX_CANTCREAT


class BadAuthorityKey(OperatorError):
    """The signing key or its certificate does not fit.  Field: ``problem``."""

    code = "bad-authority-key"
    sentence = (
        "The authority's signing key {problem}: make a new one with `mixminion authority certify`."
    )
    exit_code = EX_CONFIG


class NoAuthorityIdentity(OperatorError):
    """The identity key is not where it was looked for."""

    code = "no-authority-identity"
    sentence = (
        "There is no identity key at {path}: name the place where you keep it with --identity."
    )


class OtherAuthority(OperatorError):
    """An identity key of another authority."""

    code = "other-authority"
    sentence = "{path} is the identity key of another authority: name that of this one."


@dataclass(frozen=True, slots=True)
class AuthorityKeys:
    """Where an authority's keys are."""

    home: Path

    @property
    def folder(self) -> Path:
        """The folder of all keys."""
        return self.home / "keys"

    @property
    def identity(self) -> Path:
        """The identity's private key, hexadecimal, perhaps protected; may be absent."""
        return self.folder / "identity.key"

    @property
    def identity_public(self) -> Path:
        """The identity, hexadecimal."""
        return self.folder / "identity.pub"

    @property
    def signing(self) -> Path:
        """The signing key, hexadecimal, perhaps protected."""
        return self.folder / "signing.key"

    @property
    def certificate(self) -> Path:
        """The identity's certificate on the signing key, in its envelope."""
        return self.folder / "signing.json"

    @property
    def seed(self) -> Path:
        """What the random values are drawn from that votes reveal, hexadecimal."""
        return self.folder / "random.seed"

    def read_identity(self) -> bytes:
        """The raw identity, the public key.  Raises :class:`DamagedKeyFile`."""
        return _key(self.identity_public, private.read(self.identity_public))

    def read_seed(self) -> bytes:
        """The seed, made when there is none."""
        try:
            return _key(self.seed, private.read(self.seed))
        except FileNotFoundError:
            seed = SystemRandom().octets(KEY)
            private.write(self.seed, to_hex(seed))
            return seed

    def read_signer(self, lock: Passphrase | None, now: float) -> tuple[Signer, KeyCertificate]:
        """The signing key with its certificate, and what that says.

        :raises BadAuthorityKey: it is not one of this authority that is valid *now*.
        :raises OperatorError: what :func:`mixminion.disk.sealed.read` finds.
        """
        secret = _key(self.signing, sealed.read(self.signing, SIGNING, lock))
        try:
            statement = Envelope.decode(
                private.read(self.certificate), PayloadType.KEY_CERTIFICATE, limit=2 * LIMIT
            )
            found = certificate.read(statement)
        except BadDocument:
            raise BadAuthorityKey(problem="has a damaged certificate") from None
        identity = self.read_identity()
        vouched = any(statement.signed_by(identity, each) for each in statement.signatures)
        if found.role is not Role.AUTHORITY or found.identity != identity or not vouched:
            raise BadAuthorityKey(problem="is not certified by this authority's identity")
        if found.key != sign.public(secret):
            raise BadAuthorityKey(problem="is another one than its certificate says")
        if now >= found.valid_until:
            raise BadAuthorityKey(problem=f"ended at {to_text(found.valid_until)}")
        if now < found.valid_after:
            problem = f"begins only at {to_text(found.valid_after)} by this machine's clock"
            raise BadAuthorityKey(problem=problem)
        return Signer.of(secret, statement), found


def initialise(home: Path, secret: bytes | None, *, now: float) -> bytes:
    """Make the keys of a new authority in its home, protected by the passphrase *secret*; its
    identity.

    :raises HasAuthority: there is one already.
    """
    keys = AuthorityKeys(home)
    if keys.identity.exists() or keys.identity_public.exists():
        raise HasAuthority(home=home)
    private.make_folder(keys.folder)
    identity_private, identity = sign.generate()
    lock = opener(secret)
    sealed.write(keys.identity, to_hex(identity_private), IDENTITY, lock)
    private.write(keys.identity_public, to_hex(identity))
    make_signing_key(keys, identity_private, lock, now=now, days=AUTHORITY_SIGNING_DAYS)
    keys.read_seed()
    return identity


def certify(
    home: Path,
    identity: Path | None,
    source: SecretSource | None,
    signing_source: SecretSource | None,
    *,
    now: float,
    days: int = AUTHORITY_SIGNING_DAYS,
) -> int:
    """Make a new signing key; when it ends.

    *identity* is the identity key's file, when it is not in the home, *source* where its
    passphrase comes from, when it is not *signing_source*, where that of the signing key does.
    """
    keys = AuthorityKeys(home)
    path = identity or keys.identity
    try:
        private.check(path)
        protected = sealed.is_protected(path)
    except FileNotFoundError:
        raise NoAuthorityIdentity(path=path) from None
    signing = passphrase.given(signing_source, "Passphrase of the signing key: ")
    if source is None or str(source) == str(signing_source):
        secret = signing
    elif protected:
        secret = passphrase.read(source, "Passphrase of the identity key: ")
    else:
        secret = None
    identity_private = read_identity_key(path, opener(secret))
    if sign.public(identity_private) != keys.read_identity():
        raise OtherAuthority(path=path)
    return make_signing_key(keys, identity_private, opener(signing), now=now, days=days)


def make_signing_key(
    keys: AuthorityKeys,
    identity_private: bytes,
    lock: Passphrase | None,
    *,
    now: float,
    days: int,
) -> int:
    """A new signing key, valid from an hour ago for so many days; when it ends."""
    signing_private, signing_public = sign.generate()
    end = int(now) + days * DAY
    statement = certificate.certify(
        Role.AUTHORITY,
        identity_private,
        signing_public,
        valid_after=int(now) - 3600,
        valid_until=end,
    )
    sealed.write(keys.signing, to_hex(signing_private), SIGNING, lock)
    private.write(keys.certificate, statement.encode())
    return end


def opener(secret: bytes | None) -> Passphrase | None:
    """The passphrase, ready for use."""
    return None if secret is None else Passphrase(secret, SystemRandom())


def _key(path: Path, octets: bytes) -> bytes:
    try:
        key = bytes.fromhex(octets.decode("ascii"))
    except ValueError:
        raise DamagedKeyFile(path=path) from None
    if len(key) != KEY:
        raise DamagedKeyFile(path=path)
    return key
