"""A server's description of itself, signed by its signing key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Self

from msgspec import Meta
from typing_extensions import override

from mixminion.directory import certificate, documents
from mixminion.directory.certificate import Role
from mixminion.directory.documents import (
    Count,
    Document,
    Key,
    Nickname,
    Part,
    Positive,
    Text,
    Time,
    Word,
    ascending,
)
from mixminion.directory.envelope import Envelope, PayloadType, Signer, sign
from mixminion.directory.errors import BadDocument, BadSignature
from mixminion.directory.parameters import SUITES
from mixminion.directory.parts import (
    Addresses,
    Exit,
    Family,
    Jurisdiction,
    Rules,
    Words,
    check_addresses,
    check_exits,
)

VERSION = 1
NAME = "descriptor"
LIMIT = 65_536
"""Octets of a descriptor in its envelope."""
PROTOCOLS = ("mmtp/2",)
"""Spoken by servers of this release."""


class PacketKey(Part, frozen=True, kw_only=True):
    """The public packet key of one key period."""

    period: Count
    suite: Word
    key: Annotated[bytes, Meta(min_length=32, max_length=4096)]

    def __post_init__(self) -> None:
        if self.suite in SUITES and len(self.key) != SUITES[self.suite].key_length:
            raise ValueError("a packet key has not the length of its suite")


class Descriptor(Document, frozen=True, kw_only=True):
    """What a server says of itself; members are in ``doc/spec/directory.rst``."""

    version: int = documents.written(VERSION)
    identity: Key
    nickname: Nickname
    start: Positive  #: number of the store's start: a lower one shows a restored or cloned store
    published: Time
    valid_after: Time
    valid_until: Time
    addresses: Addresses
    protocols: Words
    suites: Words
    packet_keys: Annotated[tuple[PacketKey, ...], Meta(max_length=16)]
    exits: Annotated[tuple[Exit, ...], Meta(max_length=64)] = ()
    accepts: Rules = ()  #: of whom it takes links
    dials: Rules = ()  #: to whom it makes links
    family: Family = ""
    jurisdiction: Jurisdiction = ""
    contact: Text = ""
    software: Text = ""
    insecure: Words = ()  #: named insecure modes that are on

    def __post_init__(self) -> None:
        check_addresses(self.addresses)
        check_exits(self.exits)
        if not self.published <= self.valid_until > self.valid_after:
            raise ValueError("it ends before it begins")
        if not ascending(key.period for key in self.packet_keys):
            raise ValueError("the packet keys are not ascending by period")

    @override
    def untyped(self) -> Iterable[object]:
        return (exit.policy for exit in self.exits)

    def sign(self, signer: Signer) -> bytes:
        """The descriptor in its envelope: what a server publishes.

        *signer* is the signing key with its certificate of role ``server``.
        """
        return sign(PayloadType.DESCRIPTOR, self.encode(), [signer]).encode()

    @classmethod
    def verify(cls, octets: bytes, now: float) -> Self:
        """Read a published descriptor whose signature leads to its own identity.

        :raises BadDocument: malformed.
        :raises BadSignature: not signed by its identity's signing key, or not valid *now*.
        """
        envelope = Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=LIMIT)
        descriptor = documents.decode(
            cls, envelope.payload, name=NAME, version=VERSION, limit=LIMIT
        )
        if len(envelope.signatures) != 1:
            raise BadDocument(document=NAME, problem="it has not exactly one signature")
        (signature,) = envelope.signatures
        key = certificate.signing_key(signature, Role.SERVER, descriptor.identity, now)
        if not envelope.signed_by(key, signature):
            raise BadSignature(document=NAME, problem="the signature is wrong")
        if not descriptor.valid_after <= now < descriptor.valid_until:
            raise BadSignature(document=NAME, problem="it is not valid now")
        return descriptor
