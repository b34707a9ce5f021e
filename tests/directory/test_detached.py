"""Signatures that travel without their consensus."""

from __future__ import annotations

import random

import msgspec

from mixminion.crypto import kdf
from mixminion.directory import canonical, certificate, checks, detached
from mixminion.directory.certificate import Role
from mixminion.directory.detached import LIMIT, Detached, merge
from mixminion.directory.envelope import Envelope, PayloadType, Signature, Signer, sign
from mixminion.directory.errors import BadDocument, NewerDocument
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import NOW, authorities, consensus, identity, private_key

PRIVATE, PUBLIC = authorities(5)
PAYLOAD = consensus().encode()


def certified(n: int, name: str = "", role: Role = Role.AUTHORITY, until: int = NOW + 9) -> Signer:
    """A signing key of authority *n*."""
    private = private_key(name or f"signing {n}")
    envelope = certificate.certify(
        role, PRIVATE[n], Signer.of(private).public, valid_after=NOW - 9, valid_until=until
    )
    return Signer.of(private, envelope)


def envelope(*signers: Signer) -> Envelope:
    """The consensus, signed."""
    return sign(PayloadType.CONSENSUS, PAYLOAD, signers)


def signatures(*signers: Signer) -> tuple[Signature, ...]:
    """Those that they make on it."""
    return envelope(*signers).signatures


def signed(merged: Envelope) -> set[bytes]:
    """Whose signatures count."""
    standings = checks.count(merged, PUBLIC, NOW).standings
    return {who for who, each in standings.items() if each is checks.Standing.SIGNED}


class ReadTests(SyncTestCase):
    """The document."""

    def made(self) -> Detached:
        return Detached(
            valid_after=NOW,
            digest=kdf.sha256(PAYLOAD),
            signatures=signatures(Signer.of(PRIVATE[0]), certified(1)),
        )

    def test_round_trip(self):
        """Read back as it was; the longest that there is fits."""
        self.assertEqual(Detached.read(self.made().encode()), self.made())
        many = Detached(
            valid_after=NOW,
            digest=bytes(32),
            signatures=signatures(*(certified(0, f"key {n}") for n in range(64))),
        )
        self.assertLess(len(many.encode()), LIMIT / 3)

    def test_refused(self):
        """Out of order, twice, none; octets that are not canonical."""
        value = canonical.decode(self.made().encode())
        first, second = value["signatures"]
        nested = {"certificate": envelope_value(second)}
        cases: tuple[dict[str, object], ...] = (
            {"signatures": [second, first]},
            {"signatures": [first, first]},
            {"signatures": []},
            {"signatures": [first | {"sig": "AAAA"}]},
            {"signatures": [first | {"certificate": envelope_value(first, first)}]},
            {"digest": ""},
            {"valid-after": -1},
        )
        for changes in cases:
            with self.subTest(str(changes)[:60]):
                octets = canonical.encode(value | changes)
                self.assertRaises(BadDocument, Detached.read, octets)
        deep = value | {"signatures": [first | nested]}
        octets = self.made().encode()
        for other in (
            msgspec.json.encode(deep, order="sorted"),
            b" " + octets,
            octets.replace(b'"digest":', b'"digest":"","digest":', 1),
            b'{"a":' + b"[" * 9 + b"]" * 9 + b"," + octets[1:],
            b"{" + b'"a":[' * 9 + octets,
            b"",
        ):
            self.assertRaises(BadDocument, Detached.read, other)
        later = canonical.encode(value | {"version": 2})
        self.assertRaises(NewerDocument, Detached.read, later)


def envelope_value(*signatures: object) -> object:
    """An envelope with those, as JSON has it."""
    return {"payload": "", "payloadType": "x", "signatures": [*signatures]}


class MergeTests(SyncTestCase):
    """Putting them to the consensus."""

    def test_added(self):
        """Good ones of those that are known, by the identity or a key it certified."""
        own = envelope(certified(0))
        merged = merge(own, signatures(Signer.of(PRIVATE[1]), certified(2)), PUBLIC, NOW)
        self.assertEqual(signed(merged), {*PUBLIC[:3]})
        self.assertEqual(merged.payload, PAYLOAD)
        self.assertEqual(
            Envelope.decode(merged.encode(), PayloadType.CONSENSUS, limit=9999), merged
        )
        self.assertEqual(merge(merged, merged.signatures, PUBLIC, NOW), merged)

    def test_any_order(self):
        """In whatever order they come, all are there in the end."""
        every = list(signatures(*(certified(n) for n in range(5))))
        results = set()
        for seed in range(6):
            merged = envelope()
            for each in random.Random(seed).sample(every, 5):
                merged = merge(merged, [each], PUBLIC, NOW)
            results.add(merged.encode())
        self.assertEqual(results, {envelope(*(certified(n) for n in range(5))).encode()})

    def test_one_each(self):
        """The first of an authority stays; whatever else it signs with adds nothing."""
        own = envelope(certified(0))
        others = signatures(certified(0, "another"), Signer.of(PRIVATE[0]), certified(1))
        merged = merge(own, [*others, *others], PUBLIC, NOW)
        self.assertEqual(len(merged.signatures), 2)
        self.assertEqual(signed(merged), {*PUBLIC[:2]})
        twice = signatures(certified(1), certified(1, "another"))
        self.assertEqual(len(merge(own, twice, PUBLIC, NOW).signatures), 2)

    def test_not_added(self):
        """Strangers', forged, expired, of another role, on something else, malformed."""
        own = envelope(certified(0))
        thief = Signer.of(private_key("mallory"), certified(1).certificate)
        other = sign(PayloadType.CONSENSUS, PAYLOAD + b" ", [certified(1)]).signatures
        kind = sign(PayloadType.VOTE, PAYLOAD, [certified(1)]).signatures
        broken = sign(PayloadType.KEY_CERTIFICATE, b"{", [Signer.of(PRIVATE[1])])
        for each in (
            *signatures(Signer.of(private_key("mallory")), thief),
            *signatures(certified(1, role=Role.SERVER)),
            *signatures(certified(2, until=NOW)),
            *signatures(Signer.of(private_key("signing 1"), broken)),
            *other,
            *kind,
        ):
            self.assertEqual(merge(own, [each], PUBLIC, NOW), own)
        self.assertEqual(identity("authority 1"), PUBLIC[1])

    def test_a_bad_one_first(self):
        """A forged signature in somebody's name does not keep the good one out."""
        forged = sign(PayloadType.VOTE, PAYLOAD, [certified(1)]).signatures
        merged = merge(envelope(), [*forged, *signatures(certified(1))], PUBLIC, NOW)
        self.assertEqual(signed(merged), {PUBLIC[1]})
        self.assertIsNone(detached.signer(merged, forged[0], PUBLIC, NOW))

    def test_a_bad_one_there(self):
        """Not even where it is in the envelope already, under the same key."""
        forged = sign(PayloadType.VOTE, PAYLOAD, [certified(1)]).signatures
        spoilt = Envelope(
            payload=PAYLOAD, payload_type=str(PayloadType.CONSENSUS), signatures=forged
        )
        merged = merge(spoilt, signatures(certified(1)), PUBLIC, NOW)
        self.assertEqual(signed(merged), {PUBLIC[1]})
