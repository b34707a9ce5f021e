"""Making a new server: identity, signing key, packet keys, descriptor.

The identity key is used here and to certify the next signing key; a server that runs does
not need it, and it may be kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mixminion.app.environment import SOFTWARE, exits
from mixminion.app.keystore import key_store
from mixminion.app.packet_keys import PacketKeyFolder
from mixminion.config import Config
from mixminion.crypto import sign
from mixminion.crypto.passphrase import Passphrase
from mixminion.crypto.rng import SystemRandom
from mixminion.directory import certificate, documents
from mixminion.directory import descriptor as descriptors
from mixminion.directory.certificate import LIMIT, Role
from mixminion.directory.descriptor import PROTOCOLS, Descriptor, PacketKey
from mixminion.directory.envelope import Envelope, PayloadType, Signer
from mixminion.directory.parameters import Parameters
from mixminion.directory.parts import Exit
from mixminion.disk import private, sealed
from mixminion.errors import OperatorError, PeerError
from mixminion.exits.section import FragmentsSection
from mixminion.mix.batches import Made
from mixminion.mix.config import IncomingSection, OutgoingSection, ServerSection
from mixminion.mix.periods import KeyPeriods
from mixminion.net.links import certify
from mixminion.sphinx import suites

KEY = 32  #: octets of an Ed25519 key, private or public
DAY = 86_400
EARLIER = 3600
"""Seconds by which what is signed is valid before now: clocks that read it may be behind."""
SIGNING_DAYS = 60
DESCRIPTOR_DAYS = 30
SOON = 60
"""Seconds; what was published further ahead than that was dated by a clock that was wrong."""
IDENTITY = b"identity-key"  #: the purpose of an identity key's file


class HasIdentity(OperatorError):
    """The home has an identity key already."""

    code = "has-identity"
    sentence = (
        "There is a server in {home} already: its identity key is {path}. "
        "Choose another folder, or remove that one."
    )


class DamagedKeyFile(OperatorError):
    """A key's file does not hold a key."""

    code = "key-damaged"
    sentence = "{path} is no key of 64 hexadecimal digits: put back the copy you kept of the keys."


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """Where a server's keys are."""

    home: Path

    @property
    def folder(self) -> Path:
        """The folder of all keys; packet keys are :class:`mixminion.mix.keys.PacketKeys`'."""
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
        """The signing key, hexadecimal."""
        return self.folder / "signing.key"

    @property
    def link_certificate(self) -> Path:
        """The identity's X.509 certificate on the signing key, DER: for links."""
        return self.folder / "signing.der"

    @property
    def document_certificate(self) -> Path:
        """The identity's certificate on the signing key for documents, in its envelope."""
        return self.folder / "signing.json"

    @property
    def descriptor(self) -> Path:
        """The server's descriptor as it was last signed."""
        return self.home / "descriptor"

    def read_identity(self) -> bytes:
        """The raw identity, the public key.  Raises :class:`DamagedKeyFile`."""
        return _read(self.identity_public)

    def read_signing(self) -> bytes:
        """The raw signing key, the private one.  Raises :class:`DamagedKeyFile`."""
        return _read(self.signing)


@dataclass(frozen=True, slots=True)
class Initialised:
    """A new server."""

    nickname: str
    identity: bytes
    descriptor: Path


def initialise(config: Config, passphrase: bytes | None, *, now: float) -> Initialised:
    """Make keys and descriptor of the server that *config* describes, in its home; identity
    and packet keys are protected by *passphrase*.

    :raises HasIdentity: there is one already.
    """
    keys = ServerKeys(config.home)
    if keys.identity.exists() or keys.identity_public.exists():
        raise HasIdentity(home=config.home, path=keys.identity)
    private.make_folder(keys.folder)
    identity_private, identity = sign.generate()
    lock = None if passphrase is None else Passphrase(passphrase, SystemRandom())
    sealed.write(keys.identity, to_hex(identity_private), IDENTITY, lock)
    private.write(keys.identity_public, to_hex(identity))
    certify_signing_key(keys, identity_private, now=now)
    store = key_store(config)
    store.open()
    network = Parameters.default()
    wanted = KeyPeriods(network.key_period, network.key_grace).wanted(now)
    made = PacketKeyFolder(store.folder, identity, passphrase).make(wanted)
    write_descriptor(config, keys, made, now=now)
    return Initialised(config[ServerSection].nickname, identity, keys.descriptor)


def certify_signing_key(keys: ServerKeys, identity_private: bytes, *, now: float) -> None:
    """A new signing key, valid for 60 days."""
    signing_private, signing_public = sign.generate()
    start, end = int(now) - EARLIER, int(now) + SIGNING_DAYS * DAY
    document = certificate.certify(
        Role.SERVER, identity_private, signing_public, valid_after=start, valid_until=end
    )
    private.write(keys.signing, to_hex(signing_private))
    private.write(keys.link_certificate, certify(identity_private, signing_public, start, end))
    private.write(keys.document_certificate, document.encode())


def write_descriptor(
    config: Config,
    keys: ServerKeys,
    made: Iterable[Made],
    *,
    start: int = 1,
    now: float,
) -> None:
    """Sign and store the descriptor of the server as it is configured, with the packet keys
    that were made; *start* is the number of its store's start, 1 before the first."""
    server, incoming = config[ServerSection], config[IncomingSection]
    fragments = config[FragmentsSection]
    descriptor = Descriptor(
        identity=keys.read_identity(),
        nickname=server.nickname,
        start=start,
        published=int(now),
        valid_after=int(now) - EARLIER,
        valid_until=int(now) + DESCRIPTOR_DAYS * DAY,
        addresses=incoming.addresses,
        protocols=PROTOCOLS,
        suites=suites.NAMES,
        packet_keys=tuple(
            PacketKey(period=each.period, suite=each.suite, key=each.key) for each in made
        ),
        exits=tuple(
            Exit.described(exit.name, fragments.published(exit.describe()))
            for exit in exits(config, None, SystemRandom()).values()
        ),
        accepts=incoming.accept,
        dials=config[OutgoingSection].dial,
        family=server.family or "",
        contact=server.contact or "",
        software=SOFTWARE,
    )
    write_signed(keys, descriptor)


def published(descriptor: bytes) -> Descriptor | None:
    """A descriptor of our own, as it was published; None when it is none."""
    with suppress(PeerError):
        envelope = Envelope.decode(descriptor, PayloadType.DESCRIPTOR, limit=descriptors.LIMIT)
        return documents.decode(
            Descriptor,
            envelope.payload,
            name=descriptors.NAME,
            version=descriptors.VERSION,
            limit=descriptors.LIMIT,
        )
    return None


def write_signed(keys: ServerKeys, descriptor: Descriptor) -> None:
    """Sign and store a descriptor.

    Authorities refuse two of one server for one second, so one that replaces another too soon
    is dated a second after that.
    """
    with suppress(FileNotFoundError):
        before = published(private.read(keys.descriptor))
        if before is not None and 0 <= before.published - descriptor.published < SOON:
            descriptor = msgspec.structs.replace(descriptor, published=before.published + 1)
    statement = Envelope.decode(
        private.read(keys.document_certificate), PayloadType.KEY_CERTIFICATE, limit=LIMIT
    )
    signer = Signer.of(keys.read_signing(), certificate=statement)
    private.write(keys.descriptor, descriptor.sign(signer))


def read_identity_key(path: Path, passphrase: Passphrase | None) -> bytes:
    """An identity's raw private key.  Raises :class:`DamagedKeyFile` and what
    :func:`mixminion.disk.sealed.read` does."""
    return _key(path, sealed.read(path, IDENTITY, passphrase))


def _read(path: Path) -> bytes:
    return _key(path, private.read(path))


def _key(path: Path, octets: bytes) -> bytes:
    try:
        key = bytes.fromhex(octets.decode("ascii"))
    except ValueError as error:
        raise DamagedKeyFile(path=path) from error
    if len(key) != KEY:
        raise DamagedKeyFile(path=path)
    return key


def to_hex(octets: bytes) -> bytes:
    """A key as its file has it."""
    return octets.hex().encode("ascii") + b"\n"
