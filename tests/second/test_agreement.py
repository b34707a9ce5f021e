"""The product's unwrap and the second one on packets that no vector has.

The only file here that knows the product, and only by its public names.  Packets are made
by the product, or, where it cannot make them wrong enough, by hand: any slot and any payload
behind a right MAC, which is where bit flips never get.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mixminion.crypto.rng import SeededRandom
from mixminion.payload import reply
from mixminion.sphinx import build, errors, suites, surb
from mixminion.sphinx import geometry as sizes
from mixminion.sphinx import unwrap as product
from mixminion.testing.cases import SyncTestCase
from tests.second import unwrap as second

SMALL = {"xwing": ("xwing", 2, 71, 7300), "x25519": ("x25519", 3, 96, 1024)}
SUITES = st.sampled_from(["xwing", "x25519"])
SEEDS = st.binary(min_size=8, max_size=8)


@dataclass
class Node:
    """A node that unwraps twice."""

    geometry: sizes.Geometry
    g: second.Geometry
    node_id: bytes
    private: bytes

    def __post_init__(self) -> None:
        self.public = self.geometry.suite.public(self.private)
        self.unwrapper = product.Unwrapper(self.geometry, self.node_id, self.private)

    def product_says(self, packet: bytes) -> second.Answer | str:
        """The product's answer in the words of the second, or the reason of its drop."""
        try:
            answer = self.unwrapper.unwrap(packet)
        except errors.Dropped as dropped:
            return str(dropped.reason.value)
        if isinstance(answer, product.Relay):
            return second.Relay(answer.tag, answer.delay_ms, answer.next, answer.packet)
        if isinstance(answer, product.Deliver):
            return second.Deliver(answer.tag, answer.delay_ms, answer.body)
        return second.Reply(
            answer.tag,
            answer.delay_ms,
            answer.surb_id,
            answer.exit,
            answer.address,
            answer.payload,
        )

    def second_says(self, packet: bytes) -> second.Answer | str:
        try:
            return second.unwrap(self.g, self.node_id, self.private, packet)
        except second.Dropped as dropped:
            return dropped.reason


class Network:
    """Nodes of one geometry, from a seed."""

    def __init__(self, seed: bytes, suite: str, *values: int, nodes: int = 3) -> None:
        self.random = SeededRandom(seed)
        self.geometry = sizes.Geometry(suites.by_name(suite), *values)
        self.g = second.Geometry(suite, *values)
        self.nodes = [
            Node(self.geometry, self.g, self.random.octets(32), self.random.octets(32))
            for _ in range(nodes)
        ]
        self.by_id = {node.node_id: node for node in self.nodes}

    def path(self, length: int) -> list[build.Hop]:
        """Any nodes, the same one twice too, with delays of up to 32 bits."""
        nodes = [self.nodes[self.random.below(len(self.nodes))] for _ in range(length)]
        return [build.Hop(n.node_id, n.public, self.random.below(1 << 32)) for n in nodes]

    def crafted(self, node: Node, slot: bytes, payload: bytes) -> bytes:
        """A packet in which *node* finds this slot and this payload, and a right MAC."""
        g = self.g
        if g.xwing:
            # Any ciphertext has a secret: ML-KEM has no failure to report.
            element = self.random.octets(1088) + second.x25519_public(self.random.octets(32))
        else:
            element = second.x25519_public(self.random.octets(32))
        mac_key, stream, secret, _, _ = second.hop_keys(g, node.node_id, node.private, element)
        clear = slot + self.random.octets(g.routing - g.slot)
        start = g.suite.ad + element + second.xor(clear, stream[: g.routing])
        sealed = second.lioness_encrypt(g.suite, secret, payload)
        return start + second.mac(mac_key, start) + sealed


@st.composite
def slots(draw: st.DrawFn, g: second.Geometry) -> bytes:
    """A slot that follows a template, or nearly."""
    start = b"\x80" + draw(st.binary(min_size=4, max_size=4))
    name = draw(st.binary(min_size=1, max_size=9) | st.text("!~azAZ", min_size=1).map(str.encode))
    address = draw(st.text(max_size=9).map(str.encode) | st.binary(max_size=9))
    e, a = len(name) % 256, len(address)
    commands = {
        "relay": b"\x01" + draw(st.binary(min_size=64, max_size=64)) + bytes(g.commands - 70),
        "forward": b"\x04\0",
        "crossover": b"\x05\0",
        "reply": b"\x03"
        + bytes(16)
        + bytes([4, e])
        + name
        + a.to_bytes(2, "big")
        + address
        + b"\0",
    }
    slot = start + draw(st.sampled_from(sorted(commands.values())))
    filler = draw(st.binary(min_size=1, max_size=8)) * g.slot
    octets = bytearray((slot + filler)[: g.slot])
    # Most changes at the front, where the templates are.
    places = st.integers(0, 40) | st.integers(0, g.slot - 1)
    for place in draw(st.lists(places, max_size=2)):
        octets[place] = draw(
            st.sampled_from([0, 1, 3, 4, 5, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
        )
    return bytes(octets)


class AgreementTests(SyncTestCase):
    """Both say the same of every packet."""

    def agree(self, node: Node, packet: bytes) -> second.Answer | str:
        answer = node.second_says(packet)
        self.assertEqual(node.product_says(packet), answer)
        return answer

    def walk(self, network: Network, first: bytes, packet: bytes) -> list[second.Answer]:
        """Every answer on the packet's way, on each of which both agree."""
        answers: list[second.Answer] = []
        while True:
            answer = self.agree(network.by_id[first], packet)
            self.assertNotIsInstance(answer, str)
            assert not isinstance(answer, str)
            answers.append(answer)
            if not isinstance(answer, second.Relay):
                return answers
            first, packet = answer.node_id, answer.packet

    @given(SUITES, st.integers(-1, 300), st.integers(60, 400), st.integers(0, 40000))
    @example("x25519", 1, 70, 348)
    @example("x25519", 1, 70, 347)
    @example("xwing", 255, 65535, (1 << 32) - 1)
    @example("x25519", 255, 65536, (1 << 32) - 1)
    @example("x25519", 256, 70, (1 << 32) - 1)
    @example("x25519", 1, 70, 1 << 32)
    @settings(max_examples=200)
    def test_geometry(self, suite: str, hops: int, commands: int, packet: int) -> None:
        """The same geometries are valid, with the same sizes and digests."""
        try:
            ours = second.Geometry(suite, hops, commands, packet)
        except ValueError:
            with self.assertRaises(ValueError):
                sizes.Geometry(suites.by_name(suite), hops, commands, packet)
            return
        theirs = sizes.Geometry(suites.by_name(suite), hops, commands, packet)
        names = ("slot", "routing", "header", "payload", "body", "sealed", "surb", "digest")
        for name in names:
            self.assertEqual(getattr(theirs, name), getattr(ours, name), name)

    @given(SUITES, SEEDS, st.integers(1, 4), st.integers(70, 300), st.integers(0, 300))
    @settings(max_examples=60)
    def test_packets(self, suite: str, seed: bytes, hops: int, commands: int, more: int) -> None:
        """Forward packets and replies, in random geometries, over paths of every length."""
        header = 2 + 32 + hops * commands + 32
        if suite == "xwing":
            header = 2 + 1120 + hops * (commands + 1120) + 32
        network = Network(seed, suite, hops, commands, 2 * header + 104 + 40 + more)
        random, g = network.random, network.geometry
        for length in range(1, hops + 1):
            path = network.path(length)
            body = random.octets(g.body)
            packet = build.forward(g, path, body, random)
            answers = self.walk(network, path[0].node_id, packet)
            self.assertEqual([a.delay_ms for a in answers], [hop.delay_ms for hop in path])
            self.assertEqual(getattr(answers[-1], "body", None), body)
            self.assertEqual(len({a.tag for a in answers}), length)

            path, back = network.path(length), network.path(1 + random.below(hops))
            block, key = surb.make(g, back, "mbox", "Jürgen", 5, 6, random)
            content = random.octets(random.below(g.sealed - 40 + 1))
            packet = build.crossover(g, path, reply.to_body(g, block, content, random), random)
            answers = self.walk(network, path[0].node_id, packet)
            delays = [hop.delay_ms for hop in [*path, *back]]
            self.assertEqual([a.delay_ms for a in answers], delays)
            end = answers[-1]
            assert isinstance(end, second.Reply)
            self.assertEqual((end.surb_id, end.address), (key.surb_id, "Jürgen"))
            opened = second.open_reply(network.g, key.hops, key.key, end.payload)
            self.assertEqual(opened, content)

    @given(SUITES, SEEDS, st.integers(0, 7), st.booleans(), st.data())
    @settings(max_examples=200)
    def test_flipped_bits(
        self, suite: str, seed: bytes, bit: int, forward: bool, data: st.DataObject
    ) -> None:
        """One bit changed anywhere, on any hop."""
        network = Network(seed, *SMALL[suite])
        random, g = network.random, network.geometry
        path = network.path(1 + random.below(g.hops))
        body = random.octets(g.body)
        make = build.forward if forward else build.crossover
        packet = make(g, path, body, random)
        for hop in path[: random.below(len(path))]:
            answer = self.agree(network.by_id[hop.node_id], packet)
            assert isinstance(answer, second.Relay)
            packet, path = answer.packet, path[1:]
        parts = st.integers(0, 40) | st.integers(0, g.header) | st.integers(0, len(packet) - 1)
        place = data.draw(parts)
        altered = bytearray(packet)
        altered[place] ^= 1 << bit
        node = network.by_id[path[0].node_id]
        answer = self.agree(node, bytes(altered))
        if place < g.header:
            self.assertIn(answer, ("version", "mac"))
        elif len(path) == 1:
            self.assertEqual(answer, "payload")

    @given(SUITES, SEEDS, st.integers(-2, 2), st.integers(0, 2))
    def test_junk(self, suite: str, seed: bytes, more: int, known: int) -> None:
        """Random octets, of the right length or nearly, from the version or an element on."""
        network = Network(seed, *SMALL[suite])
        g, random = network.g, network.random
        start = [b"", g.suite.ad, g.suite.ad + bytes(g.suite.element)][known]
        packet = start + random.octets(g.packet + more - len(start))
        expected = "length" if more else ["version", "mac", "element"][known]
        self.assertEqual(self.agree(network.nodes[0], packet), expected)

    @given(SUITES, SEEDS, st.binary(max_size=2000))
    def test_short_junk(self, suite: str, seed: bytes, packet: bytes) -> None:
        """Any octets at all."""
        network = Network(seed, *SMALL[suite], nodes=1)
        self.agree(network.nodes[0], packet)

    def test_points(self) -> None:
        """Random points, not reduced ones, and the high bit, in the element's last 32 octets."""
        p = (1 << 255) - 19
        for suite in SMALL:
            network = Network(b"points", *SMALL[suite])
            g, random, node = network.g, network.random, network.nodes[0]
            numbers = [*range(p - 3, 1 << 255), *range(4), *range(1 << 255, (1 << 255) + 4)]
            numbers += [(1 << 255) + p + i for i in range(-2, 19)]
            for u in numbers:
                point = u.to_bytes(32, "little")
                element = random.octets(g.suite.element - 32) + point
                packet = g.suite.ad + element + random.octets(g.packet - 2 - g.suite.element)
                low = u % (1 << 255) % p in (0, 1, p - 1)
                self.assertEqual(self.agree(node, packet), "element" if low else "mac", hex(u))
                if low:
                    continue
                # A right MAC behind such a point, and the element that it is blinded to.
                keys = second.hop_keys(g, node.node_id, node.private, element)
                slot = b"\x80" + bytes(4) + b"\x01" + bytes(g.slot - 6)
                clear = slot + random.octets(g.routing - g.slot)
                start = g.suite.ad + element + second.xor(clear, keys[1][: g.routing])
                packet = start + second.mac(keys[0], start) + random.octets(g.payload)
                self.assertIsInstance(self.agree(node, packet), second.Relay)

    def test_slots(self) -> None:
        """Slots that follow their template and slots that do not, with a right MAC."""
        found = Counter[str]()

        @given(SUITES, SEEDS, st.booleans(), st.data())
        @settings(max_examples=1000)
        def check(suite: str, seed: bytes, tagged: bool, data: st.DataObject) -> None:
            network = Network(seed, *SMALL[suite], nodes=1)
            g, node = network.g, network.nodes[0]
            slot = data.draw(slots(g))
            frame_start = bytes([1, 4, 0, 0]) + (g.body - 8).to_bytes(4, "big")
            payload = bytes([tagged]) + bytes(31) + frame_start + network.random.octets(g.body - 8)
            answer = self.agree(node, network.crafted(node, slot, payload))
            found[answer if isinstance(answer, str) else type(answer).__name__] += 1

        check()
        self.assertEqual(set(found), {"Relay", "Deliver", "Reply", "slot", "payload"})
        self.assertGreater(min(found.values()), 20)

    def test_slot_octets(self) -> None:
        """Every octet of every template, and some behind, with the values next to it."""
        for suite in SMALL:
            network = Network(b"octets", *SMALL[suite], nodes=1)
            g, node = network.g, network.nodes[0]
            frame_start = bytes([1, 4, 0, 0]) + (g.body - 8).to_bytes(4, "big")
            payload = bytes(32) + frame_start + network.random.octets(g.body - 8)
            starts = [b"\4\0", b"\5\0", b"\3" + bytes(16) + b"\4\2!~\0\2ab\0", b"\1"]
            for slot in [(b"\x80\0\0\0\1" + start).ljust(g.slot, b"\0") for start in starts]:
                places = {0, *range(5, 34), 69, 70, g.commands - 1, g.slot - 1}
                for place in sorted(places & set(range(g.slot))):
                    old = slot[place]
                    for octet in {old ^ 1, old ^ 0x80, (old + 1) % 256, *range(7)}:
                        altered = slot[:place] + bytes([octet]) + slot[place + 1 :]
                        self.agree(node, network.crafted(node, altered, payload))

    def test_slot_lengths(self) -> None:
        """Reply slots with every length of the name, and addresses around the slot's end."""
        for suite in SMALL:
            network = Network(b"lengths", *SMALL[suite], nodes=1)
            g, node = network.g, network.nodes[0]
            accepted = 0
            for e in range(256):
                room = g.slot - 27 - e
                for a in {room - 1, room, room + 1, room + 256, 65535, 0} & set(range(65536)):
                    start = bytes.fromhex("800000000003") + bytes(16) + bytes([4, e])
                    slot = start + b"!" * e + a.to_bytes(2, "big") + b"a" * a + b"\0"
                    slot = slot[: g.slot].ljust(g.slot, b"\0")
                    answer = self.agree(node, network.crafted(node, slot, bytes(g.payload)))
                    fits = e > 0 and a <= room
                    self.assertIsInstance(answer, second.Reply if fits else str)
                    accepted += fits
            self.assertGreater(accepted, 100)

    def test_characters(self) -> None:
        """Every octet in a name, and every sort of UTF-8 in an address."""
        network = Network(b"characters", *SMALL["x25519"], nodes=1)
        node, g = network.nodes[0], network.g
        texts = [chr(c).encode() for c in [*range(256), 0x2028, 0xFEFF, 0xFFFF, 0x10FFFF]]
        texts += [bytes([c]) for c in range(128, 256)]
        overlong = "c080 c0af c1bf e08080 e09fbf f0808080"
        others = "eda080 edbfbf f4908080 f8808080 e282 f09f98"
        allowed = "efbbbf ed9fbf ee8080"
        texts += [bytes.fromhex(x) for x in f"{overlong} {others} {allowed}".split()]
        count = Counter[bool]()
        for name, address in [(bytes([c]), b"") for c in range(256)] + [(b"x", t) for t in texts]:
            slot = bytes.fromhex("800000000003") + bytes(16) + b"\x04\x01" + name
            slot += len(address).to_bytes(2, "big") + address
            slot = slot.ljust(g.slot, b"\0")
            answer = self.agree(node, network.crafted(node, slot, bytes(g.payload)))
            count[isinstance(answer, second.Reply)] += 1
        # Names of one character; addresses: 256 characters less 33, four more, three allowed.
        self.assertEqual(count[True], 94 + 223 + 4 + 3)

    @given(SUITES, SEEDS, st.booleans(), st.integers(0, 39), st.integers(0, 255))
    @settings(max_examples=200)
    def test_payloads(self, suite: str, seed: bytes, forward: bool, place: int, octet: int) -> None:
        """One octet of the tag or of the frame's header is another."""
        network = Network(seed, *SMALL[suite], nodes=1)
        g, node = network.g, network.nodes[0]
        frame_start = bytes([1, 4, 0, 0]) + (g.body - 8).to_bytes(4, "big")
        payload = bytearray(bytes(32) + frame_start + network.random.octets(g.body - 8))
        same = payload[place] == octet
        payload[place] = octet
        slot = b"\x80\0\0\0\0" + (b"\4\0" if forward else b"\5\0") + bytes(g.slot - 7)
        answer = self.agree(node, network.crafted(node, slot, bytes(payload)))
        if place < 32 and not same:
            self.assertEqual(answer, "payload")
        elif not (same or forward):
            self.assertEqual(answer, "crossover")
        else:
            self.assertNotIsInstance(answer, str)


class OwnerTests(SyncTestCase):
    """Both read the same reply blocks and open the same replies."""

    def make(self, suite: str, seed: bytes) -> tuple[Network, surb.Surb, surb.SurbKey]:
        network = Network(seed, *SMALL[suite], nodes=2)
        path = network.path(1 + network.random.below(network.geometry.hops))
        block, key = surb.make(network.geometry, path, "x", "", 256, 256, network.random)
        return network, block, key

    def read(self, network: Network, octets: bytes) -> None:
        try:
            ours = second.read_surb(network.g, octets)
        except second.Refused:
            with self.assertRaises(errors.BadSurb):
                surb.Surb.decode(network.geometry, octets)
            return
        theirs = surb.Surb.decode(network.geometry, octets)
        self.assertEqual((theirs.header, theirs.first_hop, theirs.key), ours)

    @given(SUITES, SEEDS, st.data())
    @settings(max_examples=200)
    def test_surbs(self, suite: str, seed: bytes, data: st.DataObject) -> None:
        """Reply blocks with an octet changed, too long or too short."""
        network, block, _ = self.make(suite, seed)
        octets = bytearray(block.encode())
        for place in data.draw(st.lists(st.integers(0, 30) | st.integers(0, len(octets) - 1))):
            octets[place] = data.draw(st.integers(0, 255))
        cut = data.draw(st.sampled_from([0, 0, 0, 1, -1]))
        altered = bytes(octets + bytes(max(cut, 0)))[: len(octets) + cut]
        self.read(network, altered)

    def test_surb_octets(self) -> None:
        """Every octet that is checked, with the values next to it."""
        for suite in SMALL:
            network, block, _ = self.make(suite, b"octets")
            octets = block.encode()
            for place in range(30):
                for octet in (octets[place] ^ 1, octets[place] ^ 0x80, 0):
                    altered = octets[:place] + bytes([octet]) + octets[place + 1 :]
                    self.read(network, altered)

    @given(SUITES, SEEDS, st.data())
    @settings(max_examples=200)
    def test_replies(self, suite: str, seed: bytes, data: st.DataObject) -> None:
        """What arrived for a reply block: any frame, any tag, any tail."""
        network, _, key = self.make(suite, seed)
        g = network.g
        room = g.sealed - 40
        length = room + data.draw(st.integers(-room, 9) | st.integers(-1, 1))
        inner = bytearray(bytes(32) + b"\x01\x05\0\0" + length.to_bytes(4, "big"))
        inner += network.random.octets(room)
        for place in data.draw(st.lists(st.integers(30, 40), max_size=2)):
            inner[place] = data.draw(st.integers(0, 6) | st.integers(0, 255))
        _, tail = second.tail(g, key.key)
        octets = bytearray(second.lioness_encrypt(g.suite, key.key, bytes(inner)) + tail)
        for place in data.draw(st.lists(st.integers(g.sealed, len(octets) - 1), max_size=1)):
            octets[place] ^= data.draw(st.sampled_from([0, 1, 0x80]))
        payload = bytes(octets)
        for secret in key.hops:
            payload = second.lioness_decrypt(g.suite, secret, payload)
        payload = payload[: len(payload) - data.draw(st.sampled_from([0, 0, 0, 1]))]
        try:
            ours = second.open_reply(g, key.hops, key.key, payload)
        except second.Refused:
            ours = None
        self.assertEqual(reply.open(network.geometry, key, payload), ours)
