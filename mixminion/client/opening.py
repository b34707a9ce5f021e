"""Encrypted messages that came: found in whatever they came in, and opened with the identity that
they are for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mixminion.client import texts
from mixminion.client.identities import Identities, Identity
from mixminion.client.identity_errors import PassphraseNeeded, WrongIdentityPassphrase
from mixminion.client.key_errors import NotForUs
from mixminion.crypto.aead import Forged
from mixminion.errors import UserError
from mixminion.payload import sealed


@dataclass(frozen=True, slots=True)
class OpenedMessage:
    """What somebody encrypted to *identity*; ``mail`` says whether it is a message of RFC 5322."""

    identity: Identity
    mail: bool
    content: bytes = field(repr=False)


def find(octets: bytes) -> list[bytes]:
    """The encrypted messages in a file, each once: octets that are one, armored texts with
    anything around them, in the parts of a mail.

    :raises BadArmor: a text is damaged.
    """
    return list(dict.fromkeys(_found(octets)))


def _found(octets: bytes) -> Iterator[bytes]:
    if sealed.is_sealed(octets):
        yield octets
        return
    for part in texts.parts(octets):
        if sealed.is_sealed(part):
            yield part
        else:
            yield from texts.armored(part.decode("latin-1"), sealed.ARMOR)


async def open(
    identities: Identities,
    octets: bytes,
    *,
    identity: str | None = None,
    passphrase: bytes | None = None,
    limit: int = sealed.MOST,
) -> OpenedMessage:
    """The encrypted message *octets*, of at most *limit* octets, opened by *identity*, or by
    whichever it is for: first those that need no passphrase are tried, then the others.

    :raises PassphraseNeeded: none that needs no passphrase opens it, another may, and there is no
        passphrase.
    :raises WrongIdentityPassphrase: the same, with one that opens not all of them.
    :raises NotForUs: none opens it, or it was changed.
    :raises BadPayload: it is of no known form, or holds more than *limit*.
    """
    if identity is not None:
        candidates = [await identities.get(identity)]
    else:
        candidates = sorted(await identities.all(), key=lambda each: each.protected)
    closed: UserError | None = None
    for each in candidates:
        try:
            unlocked = await identities.unlock(each, passphrase if each.protected else None)
            opened = sealed.open(unlocked.seed, octets, limit)
        except (PassphraseNeeded, WrongIdentityPassphrase) as error:
            closed = closed or error
        except Forged:
            continue
        else:
            return OpenedMessage(each, opened.kind is sealed.Kind.MAIL, opened.content)
    raise closed or NotForUs()
