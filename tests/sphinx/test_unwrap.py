"""Unwrapping: frozen packets, every check, and what a hop can and cannot see."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.crypto.rng import SeededRandom
from mixminion.payload import cover, frame, message, reply
from mixminion.sphinx import build, crossover, header, payload, surb
from mixminion.sphinx.errors import Dropped, Reason
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.keys import Context
from mixminion.sphinx.suites import by_name
from mixminion.sphinx.unwrap import Deliver, Relay, Reply, Unwrapper
from mixminion.testing.cases import SyncTestCase
from tests import vectors
from tests.sphinx.networks import DEFAULT, SMALL, SMALL_X25519, SMALL_XWING, Nodes
from tests.vectors import generate
from tests.vectors.additions import additions
from tests.vectors.generate import step


class Frozen:
    """A file of vectors: its geometry, and its nodes ready to unwrap."""

    def __init__(self, name: str) -> None:
        self.contents: dict[str, Any] = vectors.load(name)
        values = self.contents["geometry"]
        suite = by_name(values["suite"])
        self.geometry = Geometry(suite, values["hops"], values["commands"], values["packet"])
        self.nodes = [
            Unwrapper(self.geometry, bytes.fromhex(node["id"]), bytes.fromhex(node["private"]))
            for node in self.contents["nodes"]
        ]
        self.ids = [node["id"] for node in self.contents["nodes"]]

    def walk(self, i: int, packet: bytes, *, full: bool) -> list[dict[str, Any]]:
        """The answers on a packet's way from node *i*, as the files write them."""
        steps = []
        while True:
            answer = self.nodes[i].unwrap(packet)
            steps.append(step(i, answer, full=full))
            if not isinstance(answer, Relay):
                return steps
            i, packet = self.ids.index(answer.next.hex()), answer.packet


class FrozenTests(SyncTestCase):
    def test_geometry_and_keys(self) -> None:
        """Digests and public keys follow from what is frozen."""
        for name in FILES:
            frozen = Frozen(name)
            self.assertEqual(frozen.geometry.digest.hex(), frozen.contents["digest"])
            for node in frozen.contents["nodes"]:
                public = frozen.geometry.suite.public(bytes.fromhex(node["private"]))
                self.assertEqual(public, base64.b64decode(node["public"]))

    def test_small(self) -> None:
        """Every good packet of the small geometries takes its frozen way."""
        for name in ("small-xwing.json", "small-x25519.json"):
            frozen = Frozen(name)
            kinds = [case["name"] for case in frozen.contents["good"]]
            self.assertEqual(
                kinds[:6], [f"{k}-{n}" for k in ("forward", "reply") for n in (1, 2, 3)]
            )
            for case in frozen.contents["good"]:
                packet = base64.b64decode(case["packet"])
                steps = frozen.walk(case["first"], packet, full=True)
                self.assertEqual(steps, case["steps"], case["name"])

    def test_building_repeats(self) -> None:
        """With the same generator the classical suite builds the frozen packets again; the KEM
        suite cannot, since encapsulation draws its own randomness."""
        self.assertEqual(generate.default("x25519"), vectors.load("default-x25519.json"))
        small = generate.small("x25519")
        for part, entries in additions("x25519", small).items():
            small[part] += entries
        self.assertEqual(small, vectors.load("small-x25519.json"))

    def test_additions_repeat(self) -> None:
        """What was added to the frozen packets of either suite is made from them again."""
        for name in ("xwing", "x25519"):
            contents = vectors.load(f"small-{name}.json")
            for part, entries in additions(name, contents).items():
                self.assertEqual(contents[part][-len(entries) :], entries)

    def test_small_replies_open(self) -> None:
        """The replies among them open, and say what was written."""
        for name in ("small-xwing.json", "small-x25519.json"):
            frozen = Frozen(name)
            for case in frozen.contents["good"]:
                if "surb_key" in case:
                    arrived = base64.b64decode(case["steps"][-1]["payload"])
                    content = reply.open(frozen.geometry, surb_key(case), arrived)
                    self.assertEqual(content, base64.b64decode(case["content"]))

    def test_default(self) -> None:
        """Packets of the default geometries, made by their recipes, take their frozen way."""
        for name in ("default-xwing.json", "default-x25519.json"):
            frozen = Frozen(name)
            self.assertEqual(len(frozen.contents["good"]), 2 * frozen.geometry.hops)
            for case in frozen.contents["good"]:
                body = recipe(frozen.geometry, case)
                self.assertEqual(hashlib.sha256(body).hexdigest(), case["body_sha256"])
                secrets = [bytes.fromhex(secret) for secret in case["secrets"]]
                wrapped = payload.wrap(frozen.geometry.suite, secrets, payload.tagged(body))
                packet = base64.b64decode(case["header"]) + wrapped
                self.assertEqual(hashlib.sha256(packet).hexdigest(), case["packet_sha256"])
                steps = frozen.walk(case["first"], packet, full=False)
                self.assertEqual(steps, case["steps"], case["name"])

    def test_bad(self) -> None:
        """Every bad packet is dropped for its reason, and every reason occurs."""
        for name in ("small-xwing.json", "small-x25519.json"):
            frozen, bases, reasons = Frozen(name), {}, set()
            for case in frozen.contents["bad"]:
                if "base" in case:
                    bases[case["name"]] = base64.b64decode(case["base"])
                    frozen.nodes[case["node"]].unwrap(bases[case["name"]])
                    continue
                packet = bases[case["of"]]
                length = case.get("length", len(packet))
                packet = packet[:length].ljust(length, b"\0")
                for at, new in case["replace"]:
                    packet = packet[:at] + bytes.fromhex(new) + packet[at + len(new) // 2 :]
                with self.assertRaises(Dropped, msg=case["name"]) as caught:
                    frozen.nodes[case.get("node", 0)].unwrap(packet)
                self.assertEqual(caught.exception.reason, case["reason"], case["name"])
                reasons.add(caught.exception.reason)
            self.assertEqual(reasons, set(Reason) - {Reason.DELAY})


FILES = ("small-xwing.json", "small-x25519.json", "default-xwing.json", "default-x25519.json")


def surb_key(case: dict[str, Any]) -> surb.SurbKey:
    fields = case["surb_key"]
    hops = tuple(bytes.fromhex(secret) for secret in fields["hops"])
    return surb.SurbKey(bytes.fromhex(fields["id"]), hops, bytes.fromhex(fields["key"]))


def recipe(g: Geometry, case: dict[str, Any]) -> bytes:
    """A body of the default files, as README.rst says."""
    random = SeededRandom(case["name"].encode())
    if "surb" in case:
        block = surb.Surb.decode(g, base64.b64decode(case["surb"]))
        return reply.to_body(g, block, random.octets(reply.capacity(g)), random)
    to = "smtp", ["someone@example.org"]
    return message.to_body(g, *to, random.octets(message.capacity(g, *to)), random)


class DropTests(SyncTestCase):
    def test_every_header_bit(self) -> None:
        """Whatever bit of a header is flipped, the next hop drops the packet.

        All bits, at a small geometry and at both default ones.
        """
        for g in (SMALL_X25519, *DEFAULT):
            nodes = Nodes(g)
            path = nodes.path(2)
            packet = bytearray(build.forward(g, path, bytes(g.body), nodes.random))
            unwrapper = nodes.unwrappers[path[0].node_id]
            unwrapper.unwrap(bytes(packet))
            for bit in range(g.header * 8):
                packet[bit // 8] ^= 1 << bit % 8
                try:
                    unwrapper.unwrap(bytes(packet))
                except Dropped as dropped:
                    expected = Reason.VERSION if bit < 16 else Reason.MAC
                    self.assertIs(dropped.reason, expected)
                else:
                    self.fail(f"bit {bit} of a {g.suite.name} header may be flipped")
                packet[bit // 8] ^= 1 << bit % 8

    def test_every_payload_bit(self) -> None:
        """Whatever bit of a payload is flipped before any hop, the last drops the packet."""
        g, nodes = SMALL_X25519, Nodes(SMALL_X25519)
        path = nodes.path(2)
        sent = build.forward(g, path, bytes(g.body), nodes.random)
        relay, _ = nodes.walk(path[0].node_id, sent)
        assert isinstance(relay, Relay)
        last = nodes.unwrappers[path[1].node_id]
        packet = bytearray(relay.packet)
        for bit in range(g.header * 8, g.packet * 8):
            packet[bit // 8] ^= 1 << bit % 8
            dropped = self.assertRaises(Dropped, last.unwrap, bytes(packet))
            self.assertIs(dropped.reason, Reason.PAYLOAD)
            packet[bit // 8] ^= 1 << bit % 8

    def test_payload_bit_before_a_relay(self) -> None:
        """A bit flipped before a relay passes it unseen and destroys payload and address."""
        for g in SMALL:
            nodes = Nodes(g)
            path = nodes.path(3)
            address = "somebody@example.org"
            body = message.to_body(g, "smtp", [address], b"text" * 20, nodes.random)
            head_and_payload = build.forward(g, path, body, nodes.random)
            for bit in range(g.header * 8, g.packet * 8, 97 * 8 + 1):
                packet = bytearray(head_and_payload)
                packet[bit // 8] ^= 1 << bit % 8
                answers = nodes.walk(path[0].node_id, bytes(packet))
                self.assertIsInstance(next(answers), Relay)
                self.assertIsInstance(next(answers), Relay)
                dropped = self.assertRaises(Dropped, next, answers)
                self.assertIs(dropped.reason, Reason.PAYLOAD)

    def test_tagged_payload_is_noise(self) -> None:
        """What is left of a tagged payload, looked at without its tag, has nothing of the body."""
        g = SMALL_X25519
        random = SeededRandom(b"noise")
        secrets = [random.octets(64) for _ in range(3)]
        body = message.to_body(g, "smtp", ["somebody@example.org"], b"text" * 20, random)
        sent = payload.wrap(g.suite, secrets, payload.tagged(body))
        for at in range(0, g.payload, 13):
            block = sent[:at] + bytes((sent[at] ^ 1,)) + sent[at + 1 :]
            for secret in secrets:
                block = payload.decrypt(g.suite, secret, block)
            differing = int.from_bytes(block) ^ int.from_bytes(payload.tagged(body))
            share = differing.bit_count() / (8 * g.payload)
            self.assertTrue(0.45 < share < 0.55, share)
            self.assertNotIn(b"some", block)

    def test_other_geometry(self) -> None:
        """The same node with the same key understands no packet of another geometry."""
        for g in SMALL:
            nodes = Nodes(g)
            (hop,) = nodes.path(1)
            other = Geometry(g.suite, g.hops, g.commands, g.packet + 1)
            private, public = g.suite.generate()
            unwrapper = Unwrapper(other, hop.node_id, private)
            packet = build.forward(
                g, [build.Hop(hop.node_id, public, 0)], bytes(g.body), nodes.random
            )
            dropped = self.assertRaises(Dropped, unwrapper.unwrap, packet + b"\0")
            self.assertIs(dropped.reason, Reason.MAC)

    @settings(max_examples=150, deadline=None)
    @given(octets=st.binary(max_size=1100), small=st.booleans())
    def test_arbitrary_octets(self, octets: bytes, small: bool) -> None:
        """Arbitrary octets of any length, with and without a true beginning, only drop."""
        g = SMALL_X25519 if small else SMALL_XWING
        unwrapper = Unwrapper(g, bytes(32), b"\1" * 32)
        for packet in (
            octets,
            octets.ljust(g.packet, b"\0")[: g.packet],
            (g.suite.ad + octets).ljust(g.packet, b"\xff")[: g.packet],
        ):
            self.assertRaises(Dropped, unwrapper.unwrap, packet)

    @settings(max_examples=150, deadline=None)
    @given(data=st.data())
    def test_changed_packets(self, data: st.DataObject) -> None:
        """A good packet with any stretch of it overwritten is dropped, or the stretch was in
        the payload."""
        frozen = FROZEN[data.draw(st.integers(0, 1))]
        case = data.draw(st.sampled_from(frozen.contents["good"]))
        packet = base64.b64decode(case["packet"])
        at = data.draw(st.integers(0, len(packet) - 1))
        new = data.draw(st.binary(min_size=1, max_size=40))[: len(packet) - at]
        changed = packet[:at] + new + packet[at + len(new) :]
        try:
            frozen.nodes[case["first"]].unwrap(changed)
        except Dropped as dropped:
            self.assertIn(dropped.reason, set(Reason))
        else:
            end = frozen.geometry.header
            self.assertEqual(changed[:end], packet[:end])

    def test_wrong_keys(self) -> None:
        """An unwrapper is not made with a key or a node id of another length."""
        self.assertRaises(ValueError, Unwrapper, SMALL_X25519, bytes(31), bytes(32))
        for g in SMALL:
            self.assertRaises(ValueError, Unwrapper, g, bytes(32), bytes(31))

    def test_reason_is_not_a_sentence_about_anybody(self) -> None:
        """The exception carries the reason's word and nothing of the packet."""
        dropped = self.assertRaises(
            Dropped, Unwrapper(SMALL_X25519, bytes(32), bytes(32)).unwrap, b"secret"
        )
        self.assertEqual((str(dropped), dropped.fields), ("dropped", {"reason": "length"}))


FROZEN = (Frozen("small-xwing.json"), Frozen("small-x25519.json"))


class SightTests(SyncTestCase):
    """What hops see of packets of all kinds."""

    def packets(self, nodes: Nodes, n: int) -> dict[str, tuple[bytes, bytes]]:
        """First node and packet of each kind over n hops; a reply's from its crossover on."""
        g, random = nodes.geometry, nodes.random
        path, crossing, back = nodes.path(n), nodes.path(n), nodes.path(n)
        block, _ = surb.make(g, back, "smtp", "a@example.org", 0, 1, random)
        text = message.to_body(g, "smtp", ["a@example.org"], b"x", random)
        answer = reply.to_body(g, block, b"", random)
        crossed = crossover.cross(g, answer)
        assert crossed is not None
        return {
            "forward": (path[0].node_id, build.forward(g, path, text, random)),
            "cover": (path[0].node_id, build.forward(g, path, cover.body(g, random), random)),
            "crossover": (crossing[0].node_id, build.crossover(g, crossing, answer, random)),
            "reply": crossed,
        }

    def test_same_answer_and_lengths(self) -> None:
        """Whatever the kind and the length of the path, every hop but the last sees one packet
        length, answers with the same type, and with fields of the same lengths."""
        for g in SMALL:
            seen = set()
            for n in range(1, g.hops + 1):
                nodes = Nodes(g)
                for node_id, packet in self.packets(nodes, n).values():
                    self.assertEqual((len(packet), packet[:2]), (g.packet, g.suite.ad))
                    answers = list(nodes.walk(node_id, packet))
                    for answer in answers[: n - 1]:
                        assert isinstance(answer, Relay)
                        self.assertEqual(answer.packet[:2], g.suite.ad)
                        seen.add((len(answer.tag), len(answer.next), len(answer.packet)))
            self.assertEqual(seen, {(16, 32, g.packet)})

    def test_no_statistics(self) -> None:
        """Octets of routing, MAC and payload at a plain mix, before and after its work, are
        uniform for each kind and length of path (chi-square, 255 degrees of freedom; about
        one seed in a million exceeds 378)."""
        g = SMALL_X25519
        for n in (2, 3):
            counts: dict[str, Counter[int]] = {}
            nodes = Nodes(g)
            for _ in range(40):
                for kind, (node_id, packet) in self.packets(nodes, n).items():
                    relay = nodes.unwrappers[node_id].unwrap(packet)
                    assert isinstance(relay, Relay)
                    count = counts.setdefault(kind, Counter())
                    count.update(packet[34:])
                    count.update(relay.packet[34:])
            for kind, count in counts.items():
                expected = count.total() / 256
                chi = sum((count[i] - expected) ** 2 / expected for i in range(256))
                self.assertLess(chi, 378, (kind, n))

    def test_last_hop_sees_no_length(self) -> None:
        """Behind its own slot the last hop finds random octets, not zeros, however short the
        path was: no octet value is frequent, and two packets agree nowhere for long."""
        g, random = SMALL_X25519, SeededRandom(b"last")
        private = random.octets(32)
        node_id = bytes(32)
        nodes = Nodes(g)
        for n in range(1, g.hops + 1):
            path = [*nodes.path(n - 1), build.Hop(node_id, g.suite.public(private), 0)]
            rests = []
            for _ in range(2):
                packet = build.forward(g, path, bytes(g.body), random)
                for hop in path[:-1]:
                    relay = nodes.unwrappers[hop.node_id].unwrap(packet)
                    assert isinstance(relay, Relay)
                    packet = relay.packet
                prk = g.suite.receiver(private).secret(packet[2:34])
                keys = Context(g, node_id).keys(prk)
                rests.append(header.stream(g, keys, packet[34 : g.header - 32])[g.slot :])
            for rest in rests:
                self.assertLess(Counter(rest).most_common(1)[0][1], 12)
            agreeing = sum(a == b for a, b in zip(*rests, strict=True))
            self.assertLess(agreeing, 12)

    def test_replies_are_not_checked(self) -> None:
        """The last hop of a reply block passes on whatever payload it finds."""
        nodes = Nodes(SMALL_X25519)
        node_id, packet = self.packets(nodes, 1)["reply"]
        for changed in (packet, packet[:-1] + bytes((packet[-1] ^ 1,))):
            (answer,) = nodes.walk(node_id, changed)
            self.assertIsInstance(answer, Reply)

    def test_tags(self) -> None:
        """The tag depends on the header alone, and is the same at every try."""
        nodes = Nodes(SMALL_X25519)
        node_id, packet = self.packets(nodes, 2)["forward"]
        other = packet[:-1] + bytes((packet[-1] ^ 1,))
        tags = {nodes.unwrappers[node_id].unwrap(p).tag for p in (packet, packet, other)}
        self.assertEqual(len(tags), 1)

    def test_delivers_the_body(self) -> None:
        """A path of one hop delivers at once."""
        nodes = Nodes(SMALL_X25519)
        (answer,) = nodes.walk(*self.packets(nodes, 1)["cover"])
        assert isinstance(answer, Deliver)
        self.assertIs(frame.parse(answer.body).kind, frame.Kind.COVER)
