"""Consensuses."""

from __future__ import annotations

import base64
import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.crypto import kdf
from mixminion.directory import canonical
from mixminion.directory.consensus import Consensus, Server
from mixminion.directory.envelope import Envelope, PayloadType, Signer, sign
from mixminion.directory.errors import BadDocument, NewerDocument
from mixminion.directory.parameters import PacketGeometry, Parameters, geometry_digest
from mixminion.errors import PeerError, render
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import NOW, PERIOD, WEEK, consensus, descriptor, private_key, server

SERVERS = [server(name, number) for number, name in enumerate(("alice", "bob", "carol"), 1)]


def sealed(payload: bytes) -> bytes:
    """Any octets as a signed consensus."""
    return sign(PayloadType.CONSENSUS, payload, [Signer.of(private_key("authority 0"))]).encode()


class OpenTests(SyncTestCase):
    """Reading."""

    def test_round_trip(self):
        """Read back as it was, envelope and all."""
        made = consensus(SERVERS, previous=bytes(32), gap=True)
        read, envelope = Consensus.open(made.sign([Signer.of(private_key("authority 0"))]))
        self.assertEqual(read, made)
        self.assertEqual(envelope.payload, made.encode())

    def test_deterministic(self):
        """One consensus, one sequence of octets, whatever order its servers came in."""
        orders = [random.Random(seed).sample(SERVERS, 3) for seed in range(6)]
        self.assertEqual(len({consensus(order).encode() for order in orders}), 1)

    def test_members_left_out(self):
        """Members at their default are not written, and the version always is."""
        value = canonical.decode(consensus(SERVERS).encode())
        self.assertEqual(value["version"], 1)
        self.assertNotIn("gap", value)
        self.assertNotIn("previous", value)
        self.assertEqual(
            sorted(value["servers"][0]),
            [
                "addresses",
                "descriptor",
                "exits",
                "flags",
                "identity",
                "nickname",
                "protocols",
                "usable-from",
            ],
        )

    def test_defaults_written_out(self):
        """A writer may write defaults all the same."""
        value = canonical.decode(consensus(SERVERS).encode()) | {"gap": False}
        value["servers"][0] |= {"family": "", "insecure": []}
        read, _ = Consensus.open(sealed(canonical.encode(value)))
        self.assertEqual(read, consensus(SERVERS))

    def test_newer(self):
        """Unknown members are ignored, an unknown version is refused."""
        value = canonical.decode(consensus(SERVERS).encode())
        read, _ = Consensus.open(sealed(canonical.encode(value | {"a-later-member": "x"})))
        self.assertEqual(read, consensus(SERVERS))
        octets = sealed(canonical.encode(value | {"version": 2}))
        self.assertRaises(NewerDocument, Consensus.open, octets)

    def test_refused(self):
        """Values that do not go together."""
        value = canonical.decode(consensus(SERVERS).encode())
        first, second, third = value["servers"]
        now, next_, after = value["key-periods"]
        geometry = now["geometry"]
        other = msgspec.to_builtins(PacketGeometry.make(packet=30_000))
        unknown = geometry | {"suite": "of-tomorrow", "packet": 32_769}
        cases: tuple[dict[str, object], ...] = (
            {"fresh-until": NOW},
            {"valid-until": NOW + 3599},
            {"servers": [second, first, third]},
            {"servers": [first, first]},
            {"servers": [first, second | {"nickname": first["nickname"].upper()}]},
            {"servers": [first | {"usable-from": "now"}]},
            {"key-periods": []},
            {"key-periods": [next_, after]},
            {"key-periods": [now, after]},
            {"key-periods": [now, next_ | {"begins": next_["begins"] + 1}]},
            {"key-periods": [now | {"ends": now["begins"]}]},
            {"key-periods": [now | {"geometry": geometry | {"packet": 30_000}}]},
            {"key-periods": [now, next_ | {"geometry": other}]},
            {"key-periods": [now, next_ | {"geometry": unknown}]},
            {"parameters": value["parameters"] | {"hops": 5}},
            {"parameters": value["parameters"] | {"hops": 0}},
            {"method": 0},
            {"previous": ""},
            {"valid-after": "1"},
        )
        for changes in cases:
            with self.subTest(str(changes)[:60]):
                octets = sealed(canonical.encode(value | changes))
                self.assertRaises(BadDocument, Consensus.open, octets)

    def test_long_packets(self):
        """A majority's word does not make packets of 4 GiB: what is wrong, and where."""
        value = canonical.decode(consensus(SERVERS).encode())
        periods = value["key-periods"]
        for suite, digest in (
            ("xwing", geometry_digest("xwing", 4, 82, 2**32 - 1)),
            ("x", bytes(32)),
        ):
            sizes = {"suite": suite, "hops": 4, "commands": 82, "packet": 2**32 - 1}
            sizes["digest"] = base64.b64encode(digest).decode()
            changed = value | {"key-periods": [periods[0] | {"geometry": sizes}, *periods[1:]]}
            with self.assertRaises(BadDocument) as caught:
                Consensus.open(sealed(canonical.encode(changed)))
            sentence = render(caught.exception)
            self.assertIn("1048576", sentence)
            self.assertIn("geometry.packet", sentence)

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_fuzz(self, data):
        """However a consensus is changed, it is read or refused, and nothing else happens."""
        value = canonical.decode(consensus(SERVERS[:1]).encode())
        scalars = st.sampled_from([True, False, -1, 0, 2**53 - 1, "", "x", "AAAA", [], {}, [{}]])

        def change(part):
            if isinstance(part, dict) and part:
                name = data.draw(st.sampled_from(sorted(part)))
                return part | {name: change(part[name])}
            if isinstance(part, list) and part:
                return [change(part[0]), *part[1:]]
            return data.draw(scalars)

        changed = change(value)
        if data.draw(st.booleans()):
            name = data.draw(st.sampled_from(sorted(value)))
            changed = changed | {name: data.draw(scalars)}
        try:
            read, _ = Consensus.open(sealed(canonical.encode(changed)))
        except PeerError:
            return
        again, _ = Consensus.open(sealed(read.encode()))
        self.assertEqual(again, read)


class ServerTests(SyncTestCase):
    """Entries."""

    def test_listed(self):
        """An entry says what the descriptor says, without keys and contact."""
        described = descriptor("alice", family="Liddell", contact="alice@example.org")
        entry = Server.listed(described, bytes(32), usable_from=NOW)
        self.assertEqual(entry, server("alice", family="Liddell"))

    def test_look_ups(self):
        """Node id and exits by name."""
        entry = server("alice")
        self.assertEqual(entry.node_id, kdf.sha256(entry.identity))
        found = entry.exit("smtp")
        self.assertIsNotNone(found)
        self.assertIsNone(entry.exit("drop"))
        self.assertEqual(len({entry, server("alice"), server("bob")}), 2)


class PeriodTests(SyncTestCase):
    """Key periods."""

    def test_current_first(self):
        """The first key period contains valid-after, to its borders."""
        begins = PERIOD * WEEK
        for valid_after in (begins, begins + WEEK - 1):
            consensus(valid_after=valid_after, fresh_until=begins + WEEK, valid_until=begins + WEEK)
        for valid_after in (begins - 1, begins + WEEK):
            self.assertRaises(
                ValueError,
                consensus,
                valid_after=valid_after,
                fresh_until=begins + 2 * WEEK,
                valid_until=begins + 2 * WEEK,
            )

    def test_suites_may_differ(self):
        """From one period to the next the suite may change, while packets keep their length."""
        x25519 = PacketGeometry.make("x25519", commands=304)
        now, *ahead = consensus().key_periods
        periods = (now, *(msgspec.structs.replace(each, geometry=x25519) for each in ahead))
        made = consensus(key_periods=periods)
        self.assertEqual(Consensus.open(sealed(made.encode()))[0], made)

    def test_hops_fit(self):
        """The usual path fits the header of every period."""
        self.assertRaises(ValueError, consensus, parameters=Parameters(hops=5))


class EnvelopeTests(SyncTestCase):
    """The envelope is not part of the consensus."""

    def test_same_digest(self):
        """More signatures, the same payload."""
        made = consensus(SERVERS)
        one, two = ([Signer.of(private_key(n)) for n in names] for names in (["a"], ["a", "b"]))
        payloads = {
            Envelope.decode(made.sign(each), PayloadType.CONSENSUS, limit=10**6).payload
            for each in (one, two)
        }
        self.assertEqual(len(payloads), 1)
