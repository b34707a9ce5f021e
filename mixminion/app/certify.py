"""A new signing key for a server, from its identity key; the passphrase of its keys.

The identity key is read here and by ``init`` only, and may be kept elsewhere in between.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from mixminion.app import passphrase
from mixminion.app.init import (
    DAY,
    DESCRIPTOR_DAYS,
    EARLIER,
    IDENTITY,
    SIGNING_DAYS,
    ServerKeys,
    certify_signing_key,
    read_identity_key,
    write_signed,
)
from mixminion.app.keystore import key_store
from mixminion.app.packet_keys import PacketKeyFolder
from mixminion.app.usual import Which
from mixminion.config import Config
from mixminion.config.secret import SecretSource
from mixminion.crypto import sign
from mixminion.crypto.passphrase import Passphrase
from mixminion.crypto.rng import SystemRandom
from mixminion.directory import documents
from mixminion.directory.descriptor import LIMIT, NAME, VERSION, Descriptor
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.disk import private, sealed
from mixminion.disk.lock import HomeLock
from mixminion.disk.sealed import NoPassphrase
from mixminion.errors import OperatorError
from mixminion.mix.config import ServerSection


class NoIdentityKey(OperatorError):
    """The identity key is not where it was looked for."""

    code = "no-identity-key"
    sentence = (
        "There is no identity key at {path}: name the place where you keep it with --identity."
    )


class OtherIdentity(OperatorError):
    """An identity key of another server."""

    code = "other-identity"
    sentence = "{path} is the identity key of another server: name that of this one."


def certify(
    config: Config, identity: Path | None, source: SecretSource | None, *, now: float
) -> int:
    """Make a signing key, its certificates and a descriptor signed by it; when they end.

    *identity* is the identity key's file, when it is not in the home, *source* where its
    passphrase comes from, when it is not the configuration's.  Nothing is written when the key
    cannot be read.
    """
    keys = ServerKeys(config.home)
    path = identity or keys.identity
    lock = _passphrase(path, source or config[ServerSection].passphrase)
    identity_private = read_identity_key(path, lock)
    if sign.public(identity_private) != keys.read_identity():
        raise OtherIdentity(path=path)
    envelope = Envelope.decode(private.read(keys.descriptor), PayloadType.DESCRIPTOR, limit=LIMIT)
    old = documents.decode(Descriptor, envelope.payload, name=NAME, version=VERSION, limit=LIMIT)
    certify_signing_key(keys, identity_private, now=now)
    start = int(now)
    end = start + DESCRIPTOR_DAYS * DAY
    dates = {"published": start, "valid_after": start - EARLIER, "valid_until": end}
    write_signed(keys, msgspec.structs.replace(old, **dates))
    return start + SIGNING_DAYS * DAY


def change_passphrase(
    config: Config,
    which: Which,
    identity: Path | None,
    source: SecretSource | None,
    new_source: SecretSource | None,
) -> None:
    """Protect the keys by the passphrase from *new_source*, or by none.

    *identity* and *source*, that of the passphrase so far, as for :func:`certify`.
    :raises HomeInUse: the server runs.
    """
    keys = ServerKeys(config.home)
    lock = HomeLock(config.home)
    lock.acquire()
    try:
        source = source or config[ServerSection].passphrase
        old = passphrase.given(source, "The passphrase so far: ")
        new = passphrase.given(new_source, "The new passphrase: ", again=True)
        store = key_store(config)
        store.open()
        folder = PacketKeyFolder(store.folder, keys.read_identity(), old)
        path = identity or keys.identity
        if which is Which.IDENTITY or (which is Which.ALL and (identity or path.exists())):
            _change_identity(path, old, new)
        if which is not Which.IDENTITY:
            folder.change(new)
    finally:
        lock.release()


def _change_identity(path: Path, old: bytes | None, new: bytes | None) -> None:
    before, after = (_opener(each) for each in (old, new))
    try:
        key = sealed.read_either(path, IDENTITY, before, after)
    except FileNotFoundError:
        raise NoIdentityKey(path=path) from None
    sealed.write(path, key, IDENTITY, after)


def _passphrase(path: Path, source: SecretSource | None) -> Passphrase | None:
    """The passphrase of the file, asked for only if it has one."""
    try:
        private.check(path)
        protected = sealed.is_protected(path)
    except FileNotFoundError:
        raise NoIdentityKey(path=path) from None
    if not protected:
        return None
    if source is None:
        raise NoPassphrase(path=path)
    question = "Passphrase of the identity key: "
    return _opener(passphrase.read(source, question))


def _opener(octets: bytes | None) -> Passphrase | None:
    return None if octets is None else Passphrase(octets, SystemRandom())
