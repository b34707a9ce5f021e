"""Receipts."""

from __future__ import annotations

import msgspec

from mixminion.directory import canonical, certificate
from mixminion.directory.certificate import Role
from mixminion.directory.envelope import PayloadType, Signer, sign
from mixminion.directory.errors import BadDocument, BadSignature, NewerDocument
from mixminion.directory.receipt import LIMIT, Receipt, State
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import NOW, identity, private_key

IDENTITY = identity("authority 0")


def certified(role: Role = Role.AUTHORITY, by: str = "authority 0") -> Signer:
    """Its signing key."""
    private = private_key("signing")
    envelope = certificate.certify(
        role, private_key(by), Signer.of(private).public, valid_after=NOW, valid_until=NOW + 99
    )
    return Signer.of(private, envelope)


def receipt(**changes: object) -> Receipt:
    """Of Alice, who waits."""
    made = Receipt(
        authority=IDENTITY,
        time=NOW,
        identity=identity("alice"),
        state=State.WAITING,
        reason="An operator has to approve this server.",
    )
    return msgspec.structs.replace(made, **changes)


class ReceiptTests(SyncTestCase):
    """What an authority says of a server."""

    def sealed(self, payload: bytes) -> bytes:
        return sign(PayloadType.RECEIPT, payload, [certified()]).encode()

    def test_round_trip(self):
        """Read back as it was, whatever it says, signed by either key."""
        for signer in (certified(), Signer.of(private_key("authority 0"))):
            for state in State:
                made = receipt(state=state, digest=bytes(32), listed=True)
                octets = made.sign(signer)
                self.assertEqual(Receipt.verify(octets, IDENTITY, NOW), made)
                self.assertLess(len(octets), LIMIT)

    def test_its_clock(self):
        """Its time may be any: telling that clocks differ is what it is for."""
        octets = receipt(time=NOW + 10**6).sign(certified())
        self.assertEqual(Receipt.verify(octets, IDENTITY, NOW).time, NOW + 10**6)

    def test_not_its_words(self):
        """Another authority's, another role, an expired key, a stranger's."""
        good = receipt().sign(certified())
        self.assertRaises(BadSignature, Receipt.verify, good, identity("authority 1"), NOW)
        self.assertRaises(BadSignature, Receipt.verify, good, IDENTITY, NOW + 99)
        for signer in (
            certified(Role.SERVER),
            certified(by="mallory"),
            Signer.of(private_key("mallory")),
            Signer.of(private_key("mallory"), certified().certificate),
        ):
            octets = receipt().sign(signer)
            self.assertRaises(BadSignature, Receipt.verify, octets, IDENTITY, NOW)
        other = receipt(authority=identity("authority 1")).sign(certified())
        self.assertRaises(BadSignature, Receipt.verify, other, IDENTITY, NOW)

    def test_one_signature(self):
        """Not none, and not two."""
        for signers in ([], [certified(), Signer.of(private_key("authority 0"))]):
            octets = sign(PayloadType.RECEIPT, receipt().encode(), signers).encode()
            self.assertRaises(BadDocument, Receipt.verify, octets, IDENTITY, NOW)

    def test_refused(self):
        """Unknown states, wrong members, octets that are not canonical, other documents."""
        value = canonical.decode(receipt().encode())
        for changes in (
            {"state": "lost"},
            {"reason": "x" * 257},
            {"listed": 1},
            {"digest": "AAAA"},
            {"time": -1},
        ):
            octets = self.sealed(canonical.encode(value | changes))
            self.assertRaises(BadDocument, Receipt.verify, octets, IDENTITY, NOW)
        payload = receipt().encode()
        for other in (
            payload + b" ",
            payload.replace(b'"time":', b'"time":1,"time":', 1),
            b'{"a":' + b"[" * 9 + b"]" * 9 + b"," + payload[1:],
            b"[]",
        ):
            octets = self.sealed(other)
            self.assertRaises(BadDocument, Receipt.verify, octets, IDENTITY, NOW)
        octets = self.sealed(canonical.encode(value | {"version": 2}))
        self.assertRaises(NewerDocument, Receipt.verify, octets, IDENTITY, NOW)
        octets = sign(PayloadType.VOTE, payload, [certified()]).encode()
        self.assertRaises(BadDocument, Receipt.verify, octets, IDENTITY, NOW)
        self.assertRaises(BadDocument, Receipt.verify, b"x" * (LIMIT + 1), IDENTITY, NOW)
