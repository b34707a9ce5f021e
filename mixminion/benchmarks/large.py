"""A large directory: a consensus and a key document of :data:`SERVERS` servers, made up here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mixminion.crypto import kdf
from mixminion.crypto import sign as ed25519
from mixminion.directory import certificate
from mixminion.directory.certificate import Role
from mixminion.directory.consensus import METHOD, USABLE, Consensus, KeyPeriod, Server
from mixminion.directory.envelope import Signer
from mixminion.directory.keydoc import KeyDocument, ServerKey
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.parts import Exit
from mixminion.util.hostport import HostPort

SERVERS = 10_000
AUTHORITIES = 5
PERIODS = 3
WEEK = 604_800
NOW = 1_800_000_000
EXIT = "smtp"


@dataclass(frozen=True, slots=True)
class Large:
    """Octets as they are served, and the authorities' identities."""

    consensus: bytes
    keys: dict[bytes, bytes]
    authorities: tuple[bytes, ...]


def make(servers: int = SERVERS, now: int = NOW) -> Large:
    """One that five authorities signed, each with a signing key that its identity certified, for
    *now*, in the same week."""
    identities = sorted(_made("identity", n) for n in range(servers))
    documents = [_keys(identities, NOW // WEEK + n).encode() for n in range(PERIODS)]
    consensus = Consensus(
        method=METHOD,
        valid_after=now,
        fresh_until=now + 3600,
        valid_until=now + 10_800,
        previous=_made("previous", now - NOW),
        parameters=Parameters.default(),
        key_periods=tuple(
            KeyPeriod(
                number=number,
                begins=number * WEEK,
                ends=(number + 1) * WEEK,
                geometry=PacketGeometry.make(),
                keys=kdf.sha256(document),
            )
            for number, document in enumerate(documents, NOW // WEEK)
        ),
        servers=tuple(_server(identity, n) for n, identity in enumerate(identities)),
    )
    private = [_made("authority", n) for n in range(AUTHORITIES)]
    return Large(
        consensus.sign([_signer(each) for each in private]),
        {kdf.sha256(document): document for document in documents},
        tuple(map(ed25519.public, private)),
    )


def _made(what: str, n: int) -> bytes:
    """32 octets that look like any, the same in every run."""
    return hashlib.sha256(f"{what} {n}".encode()).digest()


def _keys(identities: list[bytes], period: int) -> KeyDocument:
    return KeyDocument(
        period=period,
        suite="xwing",
        keys=tuple(
            ServerKey(
                identity=identity,
                key=hashlib.shake_256(identity + period.to_bytes(4)).digest(1216),
            )
            for identity in identities
        ),
    )


def _server(identity: bytes, n: int) -> Server:
    """Its own networks, a third in families of three, a fifth exits for mail."""
    drop, mail = (Exit(name=name, module=name, max_message=26_000) for name in ("drop", EXIT))
    return Server(
        identity=identity,
        nickname=f"server{n}",
        addresses=(
            HostPort(f"{11 + n // 62_500}.{n // 250 % 250}.{n % 250}.7", 48_099),
            HostPort(f"2a01:{n + 1:x}::1", 48_099),
        ),
        protocols=("mmtp/2",),
        exits=(drop, mail) if n % 5 == 0 else (drop,),
        family=f"family{n // 9}" if n % 9 < 3 else "",
        jurisdiction=("de", "nl", "is", "ch", "ca")[n % 5],
        software="mixminion 1.0",
        flags=(USABLE,),
        usable_from=NOW - WEEK,
        descriptor=_made("descriptor", n),
    )


def _signer(identity: bytes) -> Signer:
    private = hashlib.sha256(identity).digest()
    certified = certificate.certify(
        Role.AUTHORITY,
        identity,
        ed25519.public(private),
        valid_after=NOW - WEEK,
        valid_until=NOW + WEEK,
    )
    return Signer.of(private, certified)
