"""Make the packet vectors anew: ``python -m tests.vectors.generate`` (see README.rst).

Encapsulation draws its own randomness, so that new vectors differ from the frozen ones;
they are remade only when the format changes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mixminion.crypto.kdf import hmac_sha256
from mixminion.crypto.rng import SeededRandom
from mixminion.payload import frame, message, reply
from mixminion.sphinx import build, crossover, geometry, header, payload, suites, surb
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.keys import Context
from mixminion.sphinx.slots import CrossoverSlot, ForwardSlot, ReplySlot
from mixminion.sphinx.unwrap import Answer, Deliver, Relay, Reply, Unwrapper

Json = dict[str, Any]

SMALL = {
    "xwing": Geometry(suites.XWING, 3, 82, 10240),
    "x25519": Geometry(suites.X25519, 3, 96, 1024),
}

LOW_ORDER = {  # the encodings of points of order 1, 2, 4 and 8, canonical and not
    "zero": "00" * 32,
    "one": "01" + "00" * 31,
    "order-8-a": "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "order-8-b": "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "minus-one": "ec" + "ff" * 30 + "7f",
    "p": "ed" + "ff" * 30 + "7f",
    "p-plus-one": "ee" + "ff" * 30 + "7f",
    "zero-high-bit": "00" * 31 + "80",
}


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


class Network:
    """Nodes of one geometry, and the path from the first to the n-th."""

    def __init__(self, g: Geometry, count: int, random: SeededRandom) -> None:
        self.geometry = g
        self.random = random
        self.nodes = []
        for _ in range(count):
            node_id = random.octets(32)
            private = random.octets(32)
            self.nodes.append((node_id, private, g.suite.public(private)))
        self._by_id = {node[0]: i for i, node in enumerate(self.nodes)}

    def describe(self) -> Json:
        g = self.geometry
        nodes = [
            {"id": node_id.hex(), "private": private.hex(), "public": b64(public)}
            for node_id, private, public in self.nodes
        ]
        return {
            "geometry": {
                "suite": g.suite.name,
                "hops": g.hops,
                "commands": g.commands,
                "packet": g.packet,
            },
            "digest": g.digest.hex(),
            "nodes": nodes,
        }

    def path(self, first: int, n: int) -> list[build.Hop]:
        delays = (0, 240_000, 0xFFFFFFFF, 1)
        return [
            build.Hop(node_id, public, delays[i % 4])
            for i, (node_id, _, public) in enumerate(self.nodes[first : first + n])
        ]

    def unwrapper(self, i: int) -> Unwrapper:
        node_id, private, _ = self.nodes[i]
        return Unwrapper(self.geometry, node_id, private)

    def walk(self, i: int, packet: bytes) -> Iterator[tuple[int, Answer]]:
        """Every node's answer on the packet's way."""
        while True:
            answer = self.unwrapper(i).unwrap(packet)
            yield i, answer
            if not isinstance(answer, Relay):
                return
            i, packet = self._by_id[answer.next], answer.packet

    def steps(self, i: int, packet: bytes, *, full: bool) -> list[Json]:
        return [step(i, answer, full=full) for i, answer in self.walk(i, packet)]


def step(i: int, answer: Answer, *, full: bool) -> Json:
    """One answer; of long octets only the SHA-256 unless *full*."""

    def long(name: str, octets: bytes) -> Json:
        return {name: b64(octets)} if full else {f"{name}_sha256": sha256(octets)}

    common: Json = {"node": i, "tag": answer.tag.hex(), "delay_ms": answer.delay_ms}
    match answer:
        case Relay():
            return common | {"relay": answer.next.hex()} | long("packet", answer.packet)
        case Deliver():
            return common | {"deliver": True} | long("body", answer.body)
        case Reply():
            end = {"surb_id": answer.surb_id.hex(), "exit": answer.exit, "address": answer.address}
            return common | {"reply": end} | long("payload", answer.payload)


def surb_fields(block: surb.Surb, key: surb.SurbKey) -> Json:
    return {
        "surb": b64(block.encode()),
        "surb_key": {
            "id": key.surb_id.hex(),
            "hops": [secret.hex() for secret in key.hops],
            "key": key.key.hex(),
        },
    }


# -- the small geometries, in full ---------------------------------------------------------


def small(name: str) -> Json:
    g, random = SMALL[name], SeededRandom(b"small " + name.encode())
    net = Network(g, 2 * g.hops, random)
    good = [*forwards(net), *replies(net), *edges(net)]
    return net.describe() | {"good": good, "bad": list(bad(net)), "surbs": list(surbs(net))}


def forwards(net: Network) -> Iterator[Json]:
    g = net.geometry
    for n in range(1, g.hops + 1):
        body = message.to_body(g, "smtp", ["someone@example.org"], b"text\n" * n, net.random)
        packet = build.forward(g, net.path(0, n), body, net.random)
        steps = net.steps(0, packet, full=True)
        yield {"name": f"forward-{n}", "first": 0, "packet": b64(packet), "steps": steps}


def replies(net: Network) -> Iterator[Json]:
    """A reply block of n hops, answered over n hops and a crossover."""
    g = net.geometry
    for n in range(1, g.hops + 1):
        back = net.path(g.hops, n)
        block, key = surb.make(g, back, "smtp", "owner@example.org", 1000, 2000, net.random)
        content = b"answer\n" * n
        body = reply.to_body(g, block, content, net.random)
        packet = build.crossover(g, net.path(0, n), body, net.random)
        steps = net.steps(0, packet, full=True)
        yield {
            "name": f"reply-{n}",
            "first": 0,
            "packet": b64(packet),
            "steps": steps,
            "content": b64(content),
        } | surb_fields(block, key)


def edges(net: Network) -> Iterator[Json]:
    """Replies whose names are as short, long or odd as they may be, and a changed payload."""
    g, random = net.geometry, net.random
    room = g.slot - 27
    names = {
        "shortest": ("!", ""),
        "longest-address": ("x", "a" * (room - 1)),
        "longest-name": ("~" * min(255, room), ""),
        "umlauts": ("mbox", "J\u00fcrgen \U0001f98b"),
    }
    for name, (exit, address) in names.items():
        block, _ = surb.make(g, net.path(0, 1), exit, address, 0, 0, random)
        packet = block.header + random.octets(g.payload)
        steps = net.steps(0, packet, full=True)
        yield {"name": f"edge-{name}", "first": 0, "packet": b64(packet), "steps": steps}


def bad(net: Network) -> Iterator[Json]:
    """Packets that are dropped: each a good one with octets replaced."""
    g, random = net.geometry, net.random
    mac_at, xwing = g.header - 32, g.suite.carried > 0
    bases: Json = {}

    def base(name: str, packet: bytes) -> Json:
        bases[name] = packet
        return {"name": name, "base": b64(packet), "node": 0}

    body = frame.encode(frame.Kind.MESSAGE, b"", g.body, random)
    path = net.path(0, 1)
    block, _ = surb.make(g, path, "smtp", "owner@example.org", 0, 0, random)
    yield base("relay", build.forward(g, net.path(0, 2), body, random))
    yield base("forward", build.forward(g, path, body, random))
    yield base("reply", block.header + random.octets(g.payload))
    crossing = reply.to_body(g, block, b"", random)
    yield base("crossover", build.crossover(g, path, crossing, random))

    def case(of: str, name: str, reason: str, *replace: tuple[int, bytes], **more: Any) -> Json:
        changes = [[at, octets.hex()] for at, octets in replace]
        return {"of": of, "name": name, "reason": reason, "replace": changes} | more

    def flipped(of: str, at: int, bit: int = 1) -> tuple[int, bytes]:
        return at, bytes((bases[of][at] ^ bit,))

    for length in (0, 1, g.header, g.packet - 1, g.packet + 1):
        yield case("forward", f"length-{length}", "length", length=length)
    for ad in ("0000", "0200", "0102", "0201" if not xwing else "0202", "0203"):
        yield case("forward", f"ad-{ad}", "version", (0, bytes.fromhex(ad)))
    point_at = 2 + g.suite.element - 32
    for name, point in LOW_ORDER.items():
        yield case("forward", f"point-{name}", "element", (point_at, bytes.fromhex(point)))

    spots = {
        "element-first": (2, 1),
        "element-high-bit": (point_at + 31, 0x80),
        "routing-first": (2 + g.suite.element, 1),
        "routing-last": (mac_at - 1, 0x80),
        "mac-first": (mac_at, 1),
        "mac-last": (g.header - 1, 0x80),
    }
    for name, (at, bit) in spots.items():
        yield case("forward", name, "mac", flipped("forward", at, bit))
    yield case("forward", "another-node", "mac", node=1)

    yield from bad_slots(net, bases, case)

    for of in ("forward", "crossover"):
        for at in (g.header, g.header + 31, g.header + 32, g.packet - 1):
            yield case(of, f"payload-{of}-{at}", "payload", flipped(of, at, 0x80))

    secret = hop_keys(net, bases["crossover"])[0].payload
    for at, octet in ((0, 2), (1, 1), (1, 5), (2, 1), (3, 1), (7, crossing[7] ^ 1)):
        wrong = crossing[:at] + bytes((octet,)) + crossing[at + 1 :]
        packed = payload.wrap(g.suite, [secret], payload.tagged(wrong))
        yield case("crossover", f"frame-{at}-{octet:02x}", "crossover", (g.header, packed))


def bad_slots(net: Network, bases: Json, case: Any) -> Iterator[Json]:
    """A slot octet is changed under the stream, and the MAC made good again."""
    g = net.geometry
    routing_at, mac_at = 2 + g.suite.element, g.header - 32

    def slot(of: str, name: str, at: int, octets: bytes) -> Json:
        packet = bytearray(bases[of])
        keys, plain = hop_keys(net, bases[of])
        for i, octet in enumerate(octets, start=at):
            packet[routing_at + i] ^= plain[i] ^ octet
        changed = bytes(packet[routing_at + at : routing_at + at + len(octets)])
        mac = hmac_sha256(keys.mac, bytes(packet[:mac_at]))
        return case(of, f"slot-{name}", "slot", (routing_at + at, changed), (mac_at, mac))  # type: ignore[no-any-return]

    for of in ("relay", "forward", "reply", "crossover"):
        yield slot(of, f"{of}-no-delay", 0, b"\0")
        for octet in (0, 2, 6, 0xFF):
            yield slot(of, f"{of}-kind-{octet:02x}", 5, bytes((octet,)))
    yield slot("relay", "relay-zeros-first", 70, b"\1")
    yield slot("relay", "relay-zeros-last", g.commands - 1, b"\x80")
    yield slot("forward", "forward-end", 6, b"\1")
    yield slot("crossover", "crossover-end", 6, b"\xff")
    yield slot("reply", "reply-second-kind", 22, b"\5")
    yield slot("reply", "reply-no-name", 23, b"\0\0\0\0")
    yield slot("reply", "reply-name-space", 24, b"\x20")
    yield slot("reply", "reply-name-delete", 27, b"\x7f")
    yield slot("reply", "reply-name-eighth-bit", 25, b"\xc3")
    yield slot("reply", "reply-end", 28 + 2 + 17, b"\1")
    yield slot("reply", "reply-address-long", 28, b"\xff\xff")
    room = g.slot - 24 - 4 - 2
    yield slot("reply", "reply-no-end", 28, room.to_bytes(2) + b"a" * room)
    yield slot("reply", "reply-address-control", 30, b"\n")
    yield slot("reply", "reply-address-delete", 30, b"\x7f")
    yield slot("reply", "reply-address-not-utf8", 30, b"\xff")
    yield slot("reply", "reply-address-overlong", 30, b"\xc0\xaf")
    yield slot("reply", "reply-address-surrogate", 30, b"\xed\xa0\x80")
    if g.slot < 24 + 255 + 2:
        yield slot("reply", "reply-name-long", 23, b"\xff" + b"a" * (g.slot - 24))


def hop_keys(net: Network, packet: bytes) -> tuple[Any, bytes]:
    """Node 0's keys for *packet*, and the first slot."""
    g = net.geometry
    node_id, private, _ = net.nodes[0]
    routing_at = 2 + g.suite.element
    prk = g.suite.receiver(private).secret(packet[2:routing_at])
    keys = Context(g, node_id).keys(prk)
    return keys, header.stream(g, keys, packet[routing_at : g.header - 32])[: g.slot]


def surbs(net: Network) -> Iterator[Json]:
    """A reply block, what arrives for it, and how each is refused."""
    g, random = net.geometry, net.random
    block, key = surb.make(g, net.path(0, g.hops), "smtp", "owner@example.org", 5, 6, random)
    crossed = crossover.cross(g, reply.to_body(g, block, b"answer", random))
    assert crossed is not None
    *_, (_, last) = net.walk(0, crossed[1])
    assert isinstance(last, Reply)
    octets = block.encode()
    yield {"name": "good", "content": b64(b"answer"), "payload": b64(last.payload)} | surb_fields(
        block, key
    )
    for at, octet in ((0, 0), (0, 2), (1, 0), (1, 3 - octets[1]), (2, octets[2] ^ 1)):
        yield {"name": f"surb-{at}-{octet:02x}", "surb_replace": [[at, f"{octet:02x}"]]}
    yield {"name": "surb-digest-end", "surb_replace": [[9, f"{octets[9] ^ 1:02x}"]]}
    yield {"name": "surb-dates", "surb_replace": [[17, "07"]]}
    yield {"name": "surb-ad", "surb_replace": [[27, "00"]]}
    for at in (0, 31, 32, g.sealed - 1, g.sealed, g.payload - 1):
        changed = f"{last.payload[at] ^ 0x80:02x}"
        yield {"name": f"payload-{at}", "payload_replace": [[at, changed]]}
    yield from misformed(net, block, key)


def misformed(net: Network, block: surb.Surb, key: surb.SurbKey) -> Iterator[Json]:
    """Payloads that repliers or crossovers can make and an owner refuses."""
    g, random = net.geometry, net.random
    inside = payload.tagged(frame.encode(frame.Kind.REPLY, b"answer", g.sealed - 32, random))

    def arrived(name: str, inside: bytes, tail: bytes) -> Json:
        sealed = payload.encrypt(g.suite, key.key, inside)
        octets = sealed + tail
        for secret in key.hops:
            octets = payload.decrypt(g.suite, secret, octets)
        return {"name": name, "payload": b64(octets)}

    tail = surb.tail(g, surb.tail_seed(g, key.key))
    yield arrived("tag", b"\0" * 31 + b"\1" + inside[32:], tail)
    yield arrived("tail-first", inside, bytes((tail[0] ^ 1,)) + tail[1:])
    yield arrived("tail-last", inside, tail[:-1] + bytes((tail[-1] ^ 0x80,)))
    yield arrived("kind", inside[:33] + b"\1" + inside[34:], tail)
    yield arrived("length", inside[:36] + b"\0\0\xff\xff" + inside[40:], tail)


# -- the default geometries, as SHA-256 ------------------------------------------------------


def default(name: str) -> Json:
    g, random = geometry.default(name), SeededRandom(b"default " + name.encode())
    net = Network(g, 2 * g.hops, random)
    cases = []
    for n in range(1, g.hops + 1):
        cases += [default_forward(net, n), default_reply(net, n)]
    return net.describe() | {"good": cases}


def filler(name: str, size: int) -> bytes:
    return SeededRandom(name.encode()).octets(size)


def default_forward(net: Network, n: int) -> Json:
    g, name = net.geometry, f"forward-{n}"
    path = net.path(0, n)
    head, secrets = header.make(g, path, ForwardSlot, net.random)
    content = filler(name, message.capacity(g, "smtp", ["someone@example.org"]))
    body = message.to_body(g, "smtp", ["someone@example.org"], content, net.random)
    return default_case(net, name, head, secrets, body)


def default_reply(net: Network, n: int) -> Json:
    g, name = net.geometry, f"reply-{n}"
    path, back = net.path(0, n), net.path(g.hops, n)
    surb_id = filler("id", 16)

    def end(delay_ms: int) -> ReplySlot:
        return ReplySlot(delay_ms, surb_id, "smtp", "owner@example.org")

    block_header, hops = header.make(g, back, end, net.random)
    block = surb.Surb(g, 1000, 2000, block_header, back[0].node_id, filler("key", 64))
    key = surb.SurbKey(surb_id, tuple(hops), block.key)
    body = reply.to_body(g, block, filler(name, reply.capacity(g)), net.random)
    head, secrets = header.make(g, path, CrossoverSlot, net.random)
    return default_case(net, name, head, secrets, body) | surb_fields(block, key)


def default_case(net: Network, name: str, head: bytes, secrets: list[bytes], body: bytes) -> Json:
    packet = head + payload.wrap(net.geometry.suite, secrets, payload.tagged(body))
    return {
        "name": name,
        "first": 0,
        "header": b64(head),
        "secrets": [secret.hex() for secret in secrets],
        "body_sha256": sha256(body),
        "packet_sha256": sha256(packet),
        "steps": net.steps(0, packet, full=False),
    }


def main() -> None:
    folder = Path(__file__).parent
    for name in SMALL:
        for kind, contents in (("small", small(name)), ("default", default(name))):
            text = json.dumps(contents, indent=1) + "\n"
            (folder / f"{kind}-{name}.json").write_text(text, "ascii")


if __name__ == "__main__":
    main()
