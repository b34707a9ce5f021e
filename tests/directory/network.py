"""Servers and authorities for the tests of directory, paths and dirhttp: keys and entries made
from a name, so that every run sees the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from mixminion.crypto import kdf
from mixminion.crypto import sign as ed25519
from mixminion.directory.consensus import METHOD, USABLE, Consensus, KeyPeriod, Server
from mixminion.directory.descriptor import PROTOCOLS, Descriptor, PacketKey
from mixminion.directory.keydoc import KeyDocument, ServerKey
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.parts import Exit
from mixminion.directory.view import View
from mixminion.testing.directory import server_signer
from mixminion.util.hostport import HostPort

NOW = 1_800_000_000
WEEK = 604_800
PERIOD = NOW // WEEK


def private_key(name: str) -> bytes:
    """The Ed25519 private key of that name."""
    return hashlib.sha256(name.encode()).digest()


def identity(name: str) -> bytes:
    """Its public key."""
    return ed25519.public(private_key(name))


def authorities(n: int) -> tuple[list[bytes], list[bytes]]:
    """Private and public keys of *n* authorities."""
    privates = [private_key(f"authority {i}") for i in range(n)]
    return privates, [ed25519.public(each) for each in privates]


def packet_key(name: str, period: int, length: int = 1216) -> bytes:
    """The packet key of a server for a key period."""
    return hashlib.shake_256(f"{name} {period}".encode()).digest(length)


SMTP = Exit(name="smtp", module="smtp", max_message=20_000)


def descriptor(name: str, number: int = 1, **changes: Any) -> Descriptor:
    """What the server *name* at 127.*number*.0.1 says of itself."""
    fields: dict[str, Any] = {
        "identity": identity(name),
        "nickname": name,
        "start": 1,
        "published": NOW,
        "valid_after": NOW,
        "valid_until": NOW + 3 * WEEK,
        "addresses": (HostPort(f"127.{number}.0.1", 48099),),
        "protocols": PROTOCOLS,
        "suites": ("xwing",),
        "packet_keys": tuple(
            PacketKey(period=period, suite="xwing", key=packet_key(name, period))
            for period in range(PERIOD, PERIOD + 3)
        ),
        "exits": (SMTP,),
    }
    return Descriptor(**(fields | changes))


def published(name: str, number: int = 1, **changes: Any) -> bytes:
    """The same, signed, in its envelope."""
    signer = server_signer(private_key(name), private_key(f"{name} signing"), now=NOW)
    return descriptor(name, number, **changes).sign(signer)


def server(name: str, number: int = 1, **changes: Any) -> Server:
    """The entry of the server *name* at 127.*number*.0.1."""
    fields: dict[str, Any] = {
        "identity": identity(name),
        "nickname": name,
        "addresses": (HostPort(f"127.{number}.0.1", 48099),),
        "protocols": PROTOCOLS,
        "exits": (SMTP,),
        "flags": (USABLE,),
        "usable_from": NOW,
        "descriptor": bytes(32),
    }
    return Server(**(fields | changes))


def consensus(servers: Sequence[Server] = (), **changes: Any) -> Consensus:
    """A consensus of *servers*, with three key periods."""
    fields: dict[str, Any] = {
        "method": METHOD,
        "test_network": True,
        "valid_after": NOW,
        "fresh_until": NOW + 3600,
        "valid_until": NOW + 10_800,
        "parameters": Parameters.local_demo(),
        "key_periods": tuple(
            KeyPeriod(
                number=number,
                begins=number * WEEK,
                ends=(number + 1) * WEEK,
                geometry=PacketGeometry.make(),
                keys=kdf.sha256(keys(servers, number).encode()),
            )
            for number in range(PERIOD, PERIOD + 3)
        ),
        "servers": tuple(sorted(servers, key=lambda server: server.identity)),
    }
    return Consensus(**(fields | changes))


def keys(servers: Sequence[Server], period: int) -> KeyDocument:
    """The key document of *servers* for a key period."""
    return KeyDocument(
        period=period,
        suite="xwing",
        keys=tuple(
            ServerKey(identity=server.identity, key=packet_key(server.nickname, period))
            for server in sorted(servers, key=lambda server: server.identity)
        ),
    )


def view(servers: Sequence[Server], without: Sequence[str] = (), **changes: Any) -> View:
    """The view of a network of *servers*; those named in *without* have no packet keys."""
    keyed = [server for server in servers if server.nickname not in without]
    document = consensus(servers, **changes)
    return View(document, [keys(keyed, each.number) for each in document.key_periods])
