"""The second unwrap on every frozen vector; ``tests/vectors/README.rst`` has their format."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from mixminion.testing.cases import SyncTestCase
from tests.second.unwrap import (
    Answer,
    Deliver,
    Dropped,
    Geometry,
    Refused,
    Relay,
    Reply,
    chacha20,
    lioness_encrypt,
    open_reply,
    read_surb,
    tail,
    unwrap,
    x25519_public,
    xwing_decapsulate,
    xwing_public,
)

VECTORS = Path(__file__).parent.parent / "vectors"
FILES = ("small-xwing", "small-x25519", "default-xwing", "default-x25519")

# What the files are to have: good packets by name, bad ones by reason, reply blocks by key.
EDGES = ("edge-shortest", "edge-longest-address", "edge-longest-name", "edge-umlauts")
POINTS = tuple(
    f"point-{point}" for point in ("high-bit", "unreduced", "unreduced-twist", "unreduced-high-bit")
)
HOPS = {"small": 3, "default": 4}
REASONS = {"length": 5, "version": 5, "element": 8, "mac": 7, "payload": 10, "crossover": 6}
SLOTS = {"small-xwing": 38, "small-x25519": 39}
BASES = {"relay": Relay, "forward": Deliver, "reply": Reply, "crossover": Relay}
SURBS = {"surb": 2, "surb_replace": 8, "payload_replace": 6, "payload": 7}

ENCODED = ("packet", "body", "payload")

Entry = dict[str, Any]


def load(name: str) -> Entry:
    return cast(Entry, json.loads((VECTORS / f"{name}.json").read_text("utf-8")))


def sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def changed(octets: bytes, replace: list[tuple[int, str]]) -> bytes:
    """README, "Bad packets": these octets put at that offset, one after another."""
    result = bytearray(octets)
    for offset, new in replace:
        result[offset : offset + len(new) // 2] = bytes.fromhex(new)
    return bytes(result)


class Differs(Exception):
    """A recipe does not give the octets whose hash the vector has."""


class Network:
    """One file of packet vectors."""

    def __init__(self, vectors: Entry) -> None:
        self.vectors = vectors
        self.geometry = Geometry(**vectors["geometry"])
        self.ids = [bytes.fromhex(node["id"]) for node in vectors["nodes"]]

    def unwrap(self, node: int, packet: bytes) -> Answer:
        private = bytes.fromhex(self.vectors["nodes"][node]["private"])
        return unwrap(self.geometry, self.ids[node], private, packet)

    def good(self, good: Entry) -> bool:
        """Whether every node's answer, and what the owner reads, are those of the vector."""
        try:
            packet = b64decode(good["packet"]) if "packet" in good else self.recipe(good)
        except Differs:
            return False
        node: int | None = good["first"]
        for step in good["steps"]:
            if node is None:
                return False
            answer = self.unwrap(node, packet)
            if described(node, answer, hashed="header" in good) != decoded(step):
                return False
            node = None
            if isinstance(answer, Relay):
                node, packet = self.ids.index(answer.node_id), answer.packet
        if node is not None:
            return False
        if "surb" not in good:
            return True
        key = good["surb_key"]
        content = b64decode(good["content"]) if "content" in good else self.reply_content(good)
        read_surb(self.geometry, b64decode(good["surb"]))
        return isinstance(answer, Reply) and (
            (answer.surb_id.hex(), self.opened(key, answer.payload)) == (key["id"], content)
        )

    def bad(self, entry: Entry) -> bool:
        """Whether the packet is dropped for the vector's reason; a base is not dropped."""
        if "base" in entry:
            answer = self.unwrap(entry["node"], b64decode(entry["base"]))
            return isinstance(answer, BASES[entry["name"]])
        base = next(bad for bad in self.vectors["bad"] if bad["name"] == entry["of"])
        packet = b64decode(base["base"])
        if "length" in entry:
            packet = packet[: entry["length"]].ljust(entry["length"], b"\0")
        try:
            self.unwrap(entry.get("node", 0), changed(packet, entry["replace"]))
        except Dropped as dropped:
            return bool(dropped.reason == entry["reason"])
        return False

    def surb(self, entry: Entry) -> bool:
        """Whether a whole reply block is good, and one made from the first is refused."""
        if "surb" in entry:
            read_surb(self.geometry, b64decode(entry["surb"]))
            content = self.opened(entry["surb_key"], b64decode(entry["payload"]))
            return content == b64decode(entry["content"])
        first = self.vectors["surbs"][0]
        surb, payload = b64decode(first["surb"]), b64decode(first["payload"])
        try:
            if "surb_replace" in entry:
                read_surb(self.geometry, changed(surb, entry["surb_replace"]))
            elif "payload_replace" in entry:
                self.opened(first["surb_key"], changed(payload, entry["payload_replace"]))
            else:
                self.opened(first["surb_key"], b64decode(entry["payload"]))
        except Refused:
            return True
        return False

    def disagreements(self) -> list[str]:
        """The names of the vectors that the second unwrap does not agree with."""
        checks = {"good": self.good, "bad": self.bad, "surbs": self.surb}
        return [
            entry["name"]
            for part, check in checks.items()
            for entry in self.vectors.get(part, [])
            if not check(entry)
        ]

    def opened(self, key: Entry, payload: bytes) -> bytes:
        secrets = [bytes.fromhex(secret) for secret in key["hops"]]
        return open_reply(self.geometry, secrets, bytes.fromhex(key["key"]), payload)

    # README, "Recipes"

    def stream(self, name: str, n: int) -> bytes:
        return chacha20(hashlib.sha256(name.encode()).digest(), n)

    def reply_content(self, good: Entry) -> bytes:
        return self.stream(good["name"], self.geometry.sealed - 40)

    def recipe(self, good: Entry) -> bytes:
        g, name = self.geometry, good["name"]
        if name.startswith("forward"):
            recipient = b"someone@example.org"
            start = b"\x04smtp\x01" + len(recipient).to_bytes(2, "big") + recipient
            content = start + self.stream(name, g.body - 8 - len(start))
            body = frame(1, content)
        else:
            header, first_hop, surb_key = read_surb(g, b64decode(good["surb"]))
            seed, _ = tail(g, surb_key)
            sealed = bytes(32) + frame(5, self.reply_content(good))
            y = lioness_encrypt(g.suite, surb_key, sealed)
            body = frame(4, first_hop + seed + header + y)
        payload = bytes(32) + body
        for secret in reversed(good["secrets"]):
            payload = lioness_encrypt(g.suite, bytes.fromhex(secret), payload)
        packet = b64decode(good["header"]) + payload
        if (sha256(body), sha256(packet)) != (good["body_sha256"], good["packet_sha256"]):
            raise Differs("the recipe gives another packet")
        return packet


def frame(kind: int, content: bytes) -> bytes:
    """A frame without random octets: ``doc/spec/payload.rst``, "Frames"."""
    return bytes([1, kind, 0, 0]) + len(content).to_bytes(4, "big") + content


def described(node: int, answer: Answer, hashed: bool) -> Entry:
    """An answer as the vectors write a step down."""
    step: Entry = {"node": node, "tag": answer.tag.hex(), "delay_ms": answer.delay_ms}
    if isinstance(answer, Relay):
        step["relay"] = answer.node_id.hex()
        name, octets = "packet", answer.packet
    elif isinstance(answer, Deliver):
        step["deliver"] = True
        name, octets = "body", answer.body
    else:
        assert isinstance(answer, Reply)
        step["reply"] = {
            "surb_id": answer.surb_id.hex(),
            "exit": answer.exit_name,
            "address": answer.address,
        }
        name, octets = "payload", answer.payload
    if hashed:
        step[f"{name}_sha256"] = sha256(octets)
    else:
        step[name] = octets
    return step


def decoded(step: Entry) -> Entry:
    """A step with its octets as octets, so that base64 is not compared."""
    return {key: b64decode(value) if key in ENCODED else value for key, value in step.items()}


class VectorTests(SyncTestCase):
    """Agreement with all vectors, and that none is skipped."""

    def test_small_xwing(self):
        """Packets in full, suite xwing: good, bad, and reply blocks."""
        self.assertEqual(Network(load("small-xwing")).disagreements(), [])

    def test_small_x25519(self):
        """Packets in full, suite x25519: good, bad, and reply blocks."""
        self.assertEqual(Network(load("small-x25519")).disagreements(), [])

    def test_default_xwing(self):
        """Packets by recipe and hash, suite xwing."""
        self.assertEqual(Network(load("default-xwing")).disagreements(), [])

    def test_default_x25519(self):
        """Packets by recipe and hash, suite x25519."""
        self.assertEqual(Network(load("default-x25519")).disagreements(), [])

    def test_files(self):
        """No file of vectors and no part of a file is left out."""
        self.assertEqual({path.stem for path in VECTORS.glob("*.json")}, {*FILES, "xwing-kem"})
        for name in FILES:
            parts = {"geometry", "digest", "nodes", "good"}
            parts |= {"bad", "surbs"} if name in SLOTS else set()
            self.assertEqual(set(load(name)), parts)

    def test_good_count(self):
        """Both kinds over every number of hops, with as many steps as that takes."""
        for name in FILES:
            hops = range(1, HOPS[name.split("-")[0]] + 1)
            expected = {f"forward-{n}": ["relay"] * (n - 1) + ["deliver"] for n in hops}
            expected |= {f"reply-{n}": ["relay"] * (2 * n - 1) + ["reply"] for n in hops}
            if name in SLOTS:
                expected |= {edge: ["reply"] for edge in EDGES}
                expected |= {point: ["relay", "deliver"] for point in POINTS}
            good = load(name)["good"]
            found = {entry["name"]: [kind_of(step) for step in entry["steps"]] for entry in good}
            self.assertEqual(found, expected)
            self.assertEqual(len(good), len(expected))

    def test_bad_count(self):
        """Bad packets by reason, and the good ones that they are made from."""
        for name, slots in SLOTS.items():
            bad = load(name)["bad"]
            reasons = Counter(entry["reason"] for entry in bad if "of" in entry)
            self.assertEqual(reasons, Counter({**REASONS, "slot": slots}))
            self.assertEqual([e["name"] for e in bad if "base" in e], list(BASES))
            self.assertEqual(len({entry["name"] for entry in bad}), len(bad))

    def test_surb_count(self):
        """Reply blocks by what is wrong with them."""
        for name in SLOTS:
            surbs = load(name)["surbs"]
            found = Counter(key for entry in surbs for key in SURBS if key in entry)
            # A whole reply block has a payload too.
            self.assertEqual(found, Counter(SURBS) + Counter(payload=SURBS["surb"]))
            self.assertEqual(len(surbs), sum(SURBS.values()))


class AlteredTests(SyncTestCase):
    """A vector that was altered is disagreed with, and no other."""

    def check(self, name: str, part: str, entry: str, alter: Callable[[Entry], object]) -> None:
        vectors = load(name)
        altered = next(candidate for candidate in vectors[part] if candidate["name"] == entry)
        alter(altered)
        self.assertEqual(Network(vectors).disagreements(), [entry])

    def test_step(self):
        """Another tag, delay, next node, packet or body, in every step."""
        for name in ("small-x25519", "default-x25519"):
            good = next(entry for entry in load(name)["good"] if entry["name"] == "reply-2")
            for i, step in enumerate(good["steps"]):
                # Of the large packets only what is different there: the hashes.
                for key in (key for key in step if name in SLOTS or key.endswith("_sha256")):
                    self.check(name, "good", "reply-2", partial(spoil, step=i, key=key))

    def test_steps(self):
        """A step too few."""
        for name in ("forward-2", "reply-2"):
            self.check("small-x25519", "good", name, lambda good: good["steps"].pop())

    def test_content(self):
        """Another content of a reply, and a reply block with another SURB id."""
        alter = partial(dict.update, content="AAAA")
        self.check("small-x25519", "good", "reply-3", alter)
        self.check("small-x25519", "surbs", "good", alter)
        self.check("small-x25519", "good", "reply-1", lambda good: good["surb_key"].update(id=""))

    def test_recipe(self):
        """Another hash of the packet or of the body."""
        for key in ("packet_sha256", "body_sha256"):
            self.check("default-x25519", "good", "reply-4", partial(dict.update, **{key: ""}))

    def test_bad(self):
        """Another reason, and a bad packet or reply block whose change is taken back."""
        self.check("small-x25519", "bad", "mac-last", partial(dict.update, reason="slot"))
        self.check("small-x25519", "bad", "mac-last", partial(dict.update, replace=[]))
        self.check("small-x25519", "surbs", "surb-dates", partial(dict.update, surb_replace=[]))
        self.check("small-x25519", "surbs", "payload-0", partial(dict.update, payload_replace=[]))


def spoil(good: Entry, step: int, key: str) -> None:
    good["steps"][step][key] = None if key not in ENCODED else "AAAA"


def kind_of(step: Entry) -> str:
    (kind,) = {"relay", "deliver", "reply"} & set(step)
    return kind


class NetworkTests(SyncTestCase):
    """What the files say of geometries, nodes and X-Wing; lengths of what an owner reads."""

    def test_geometries_and_nodes(self):
        """Digests, and public keys from private ones."""
        for name in FILES:
            network = Network(load(name))
            self.assertEqual(network.geometry.digest.hex(), network.vectors["digest"])
            public = xwing_public if network.geometry.xwing else x25519_public
            for node in network.vectors["nodes"]:
                private = bytes.fromhex(node["private"])
                self.assertEqual(public(private), b64decode(node["public"]))

    def test_sizes(self):
        """The table of worked sizes: slot, routing, header, payload, body, sealed, SURB."""
        sizes = {
            "default-xwing": (1202, 4808, 5962, 26806, 26774, 20740, 6084),
            "default-x25519": (304, 1216, 1282, 31486, 31454, 30100, 1404),
            "small-xwing": (1202, 3606, 4760, 5480, 5448, 616, 4882),
            "small-x25519": (96, 288, 354, 670, 638, 212, 476),
        }
        for name in FILES:
            g = Network(load(name)).geometry
            got = (g.slot, g.routing, g.header, g.payload, g.body, g.sealed, g.surb)
            self.assertEqual(got, sizes[name])

    def test_xwing(self):
        """The published vectors of X-Wing."""
        vectors = load("xwing-kem")["vectors"]
        self.assertEqual(len(vectors), 3)
        for vector in vectors:
            seed, ciphertext = bytes.fromhex(vector["seed"]), bytes.fromhex(vector["ct"])
            self.assertEqual(xwing_public(seed).hex(), vector["pk"])
            self.assertEqual(xwing_decapsulate(seed, ciphertext).hex(), vector["ss"])

    def test_lengths(self):
        """One octet too few or too many is neither a reply block nor a payload."""
        network = Network(load("small-x25519"))
        good = network.vectors["surbs"][0]
        surb, payload = b64decode(good["surb"]), b64decode(good["payload"])
        for octets in (surb[:-1], surb + b"\0", b""):
            self.assertRaises(Refused, read_surb, network.geometry, octets)
        for octets in (payload[:-1], payload + b"\0", b""):
            self.assertRaises(Refused, network.opened, good["surb_key"], octets)
