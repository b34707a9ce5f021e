"""Votes."""

from __future__ import annotations

import msgspec

from mixminion.directory import canonical, certificate
from mixminion.directory.certificate import Role
from mixminion.directory.envelope import PayloadType, Signer, sign
from mixminion.directory.errors import BadDocument, NewerDocument
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.vote import LIMIT, MOST_SERVERS, Recommended, Vote, VotedServer
from mixminion.testing.cases import SyncTestCase
from mixminion.util import times
from tests.directory.network import NOW, PERIOD, WEEK, private_key
from tests.directory.votes import AUTHORITIES, entry, period, vote

AUTHORITY = Signer.of(private_key("authority 0"))


def sealed(payload: bytes) -> bytes:
    """Any octets, signed as a vote would be."""
    return sign(PayloadType.VOTE, payload, [AUTHORITY]).encode()


class OpenTests(SyncTestCase):
    """Reading."""

    def test_round_trip(self):
        """Everything is read back as it was."""
        made = vote(
            0,
            [entry("alice", reliability=990), entry("bob", flags=())],
            contact="A <a@example.org>",
            test_network=True,
            previous=bytes(32),
            recommended=Recommended(clients=("1.0",)),
            commitment=bytes(32),
            reveal=bytes(32),
        )
        key = Signer.of(private_key("signing"))
        certified = certificate.certify(
            Role.AUTHORITY,
            private_key("authority 0"),
            key.public,
            valid_after=NOW,
            valid_until=NOW + 9,
        )
        envelope = made.sign(Signer(key.public, key.sign, certified))
        self.assertEqual(Vote.open(envelope.encode()), (made, envelope))
        self.assertEqual(envelope.payload, made.encode())

    def test_countersigned(self):
        """Others may sign the same octets, which are the same vote."""
        payload = vote(0).encode()
        others = [AUTHORITY, Signer.of(private_key("authority 1"))]
        read, envelope = Vote.open(sign(PayloadType.VOTE, payload, others).encode())
        self.assertEqual((read, len(envelope.signatures)), (vote(0), 2))

    def test_of_tomorrow(self):
        """Unknown members are ignored, another version and another kind are refused."""
        value = canonical.decode(vote(0).encode())
        read, envelope = Vote.open(sealed(canonical.encode(value | {"mood": "good"})))
        self.assertEqual(read, vote(0))
        self.assertIn(b"mood", envelope.payload)
        octets = sealed(canonical.encode(value | {"version": 2}))
        self.assertRaises(NewerDocument, Vote.open, octets)
        other = sign(PayloadType.CONSENSUS, vote(0).encode(), [AUTHORITY]).encode()
        self.assertRaises(BadDocument, Vote.open, other)

    def test_refused(self):
        """Members that are not in order, twice, or do not go together."""
        value = canonical.decode(vote(0).encode())
        first, second, *_ = value["servers"]
        now, ahead = value["key-periods"]
        parameters = value["parameters"]
        other = msgspec.to_builtins(PacketGeometry.make(packet=30_000))
        cases: tuple[dict[str, object], ...] = (
            {"servers": [second, first]},
            {"servers": [first, first]},
            {"servers": [first | {"flags": ["fast"]}]},
            {"servers": [first | {"flags": ["usable", "usable"]}]},
            {"servers": [first | {"reliability": 1001}]},
            {"servers": [first | {"usable-from": times.LAST + 1}]},
            {"flags-known": ["usable", "fast"]},
            {"methods": []},
            {"methods": [2, 1]},
            {"methods": [1, 1]},
            {"authority": "AAAA"},
            {"key-periods": []},
            {"key-periods": [ahead]},
            {"key-periods": [ahead, now]},
            {"key-periods": [now, now]},
            {"key-periods": [now, ahead | {"begins": ahead["begins"] + 1}]},
            {"key-periods": [now | {"ends": now["begins"]}]},
            {"key-periods": [now, ahead | {"ends": ahead["begins"]}]},
            {"key-periods": [now, ahead | {"geometry": other}]},
            {"parameters": parameters | {"hops": 5}},
            {"parameters": parameters | {"consensus-fresh": 10_801}},
            {"parameters": parameters | {"consensus-valid": times.LAST - NOW + 1}},
            {"valid-after": (PERIOD + 1) * WEEK},
            {"recommended": {"clients": ["1"] * 33}},
        )
        for changes in cases:
            with self.subTest(str(changes)[:60]):
                octets = sealed(canonical.encode(value | changes))
                self.assertRaises(BadDocument, Vote.open, octets)
        latest = {"parameters": parameters | {"consensus-valid": times.LAST - NOW}}
        read, _ = Vote.open(sealed(canonical.encode(value | latest)))
        self.assertEqual(read.parameters.consensus_valid, times.LAST - NOW)

    def test_not_canonical(self):
        """One vote has one sequence of octets."""
        octets = vote(0).encode()
        for other in (
            octets.replace(b":", b": ", 1),
            octets.replace(b'{"authority"', b'{"authority":"","authority"', 1),
            b'{"a":' + b"[" * 9 + b"]" * 9 + b"," + octets[1:],
            b'{"a":' + b"[" * 90_000 + b"]" * 90_000 + b"," + octets[1:],
            octets.replace(b'"version":1', b'"version":1.0'),
            octets.replace(b'"version":1', b'"version":null'),
        ):
            self.assertNotEqual(other, octets)
            self.assertRaises(BadDocument, Vote.open, sealed(other))

    def test_room(self):
        """The greatest vote there is fits, with everybody's signatures."""
        flags = tuple(f"flag{n}" for n in range(4))
        servers = tuple(
            VotedServer(
                identity=n.to_bytes(32, "big"),
                descriptor=bytes(32),
                usable_from=times.LAST,
                flags=flags,
                reliability=1000,
            )
            for n in range(MOST_SERVERS)
        )
        made = vote(0, servers, flags_known=flags)
        signers = [Signer.of(private_key(f"authority {n}")) for n in range(64)]
        octets = sign(PayloadType.VOTE, made.encode(), signers).encode()
        self.assertLess(len(octets), LIMIT)
        self.assertEqual(len(Vote.open(octets)[0].servers), MOST_SERVERS)


class MakeTests(SyncTestCase):
    """Whoever makes one is told as well."""

    def test_refused(self):
        """What could be no consensus is no vote."""
        for changes in (
            {"parameters": Parameters(hops=9)},
            {"parameters": Parameters(consensus_fresh=9, consensus_valid=8)},
            {"key_periods": (period(PERIOD - 1),)},
            {"methods": (2, 1)},
        ):
            self.assertRaises(ValueError, vote, 0, **changes)
        self.assertEqual(vote(0).authority, AUTHORITIES[0])
