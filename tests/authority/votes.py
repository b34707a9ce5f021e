"""Authorities that sign, and votes of theirs, for the tests of the exchange."""

from __future__ import annotations

from functools import cache
from typing import Any

from mixminion.authority.ballots import Ballot
from mixminion.authority.schedule import Schedule
from mixminion.crypto import sign as ed25519
from mixminion.directory import certificate
from mixminion.directory.certificate import Role
from mixminion.directory.envelope import Envelope, PayloadType, Signer, sign
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.vote import Vote, VotedPeriod
from tests.directory.network import NOW, PERIOD, WEEK, identity, private_key

HOUR = 3600
INSTANT = NOW + HOUR


@cache
def authority(number: int) -> bytes:
    """The identity of an authority."""
    return identity(f"authority {number}")


def authorities(n: int) -> list[bytes]:
    """Those of *n*."""
    return [authority(number) for number in range(n)]


@cache
def signer(number: int, days: int = 30) -> Signer:
    """Its signing key, with a certificate from an hour before :data:`NOW` on."""
    private = private_key(f"authority {number} signing")
    statement = certificate.certify(
        Role.AUTHORITY,
        private_key(f"authority {number}"),
        ed25519.public(private),
        valid_after=NOW - HOUR,
        valid_until=NOW + days * 86_400,
    )
    return Signer.of(private, statement)


@cache
def vote(number: int, contact: str = "", valid_after: int = INSTANT) -> Vote:
    """A vote that names no servers; *contact* makes it another."""
    return Vote(**fields(number, contact=contact, valid_after=valid_after))


def fields(number: int, **changes: Any) -> dict[str, Any]:
    """What such a vote consists of."""
    return {
        "authority": authority(number),
        "nickname": f"auth{number}",
        "published": NOW,
        "methods": (1,),
        "valid_after": INSTANT,
        "test_network": True,
        "parameters": Parameters.default(),
        "key_periods": tuple(
            VotedPeriod(
                number=period,
                begins=period * WEEK,
                ends=(period + 1) * WEEK,
                geometry=PacketGeometry.make(),
            )
            for period in range(PERIOD, PERIOD + 3)
        ),
        "flags_known": ("usable",),
        "servers": (),
    } | changes


@cache
def signed(made: Vote, *numbers: int) -> Ballot:
    """Signed by authorities of those numbers, whoever's it is."""
    octets = envelope(made, *numbers).encode()
    return Ballot.read(octets, authorities(7), made.valid_after)


def envelope(made: Vote, *numbers: int) -> Envelope:
    """The same, whether it can be read or not."""
    return sign(PayloadType.VOTE, made.encode(), [signer(number) for number in sorted({*numbers})])


def schedule(n: int, interval: int = HOUR, valid_after: int = INSTANT) -> Schedule:
    """That of *n* authorities."""
    return Schedule(valid_after, interval, n)
