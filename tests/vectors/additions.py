"""What was added to the small files since they were frozen: ``python -m tests.vectors.additions``.

Frozen entries stay as they are.  Additions are made from them and from a seed alone, in either
suite, so that they can be made again; each list of a file has its additions at its end.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from mixminion.crypto.kdf import hmac_sha256
from mixminion.crypto.rng import SeededRandom
from mixminion.payload import frame, message
from mixminion.sphinx import build, payload, surb
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.suites import Suite
from tests import vectors
from tests.vectors.generate import SMALL, Json, Network, b64, hop_keys, surb_fields

POINTS = {  # of no low order, and accepted; keys are derived from these octets
    "high-bit": "09" + "00" * 30 + "80",
    "unreduced": "f6" + "ff" * 30 + "7f",  # p + 9, on the curve
    "unreduced-twist": "ef" + "ff" * 30 + "7f",  # p + 2, on the twist
    "unreduced-high-bit": "ff" * 32,
}


def additions(name: str, frozen: Json) -> Json:
    """The entries to add to the file small-*name*, whose contents are *frozen*."""
    net = Network(SMALL[name], 2 * SMALL[name].hops, SeededRandom(b"small " + name.encode()))
    net.random = SeededRandom(b"additions " + name.encode())
    return {
        "good": list(points(net)),
        "bad": list(bad(net, frozen["bad"])),
        "surbs": list(surbs(net.geometry, frozen["surbs"][0])),
    }


# -- good packets ---------------------------------------------------------------------------


class Chosen:
    """A sender who chooses the first point, and shares secrets by the nodes' private keys."""

    def __init__(self, net: Network, point: bytes) -> None:
        self._suite, self._random, self._point = net.geometry.suite, net.random, point
        self._privates = {public: private for _, private, public in net.nodes}

    def share(self, public: bytes) -> tuple[bytes, bytes]:
        # Any octets are a ciphertext of ML-KEM, and have a secret.
        element = self._random.octets(self._suite.element - 32) + self._point
        return element, self._suite.receiver(self._privates[public]).secret(element)

    def blind(self, seed: bytes) -> None:
        if not self._suite.carried:
            self._point = self._suite.next_element(self._point, b"", seed)


def points(net: Network) -> Iterator[Json]:
    """Packets over two hops whose first point is not what it is reckoned as."""
    g, suite = net.geometry, net.geometry.suite
    for name, point in POINTS.items():
        sender = Chosen(net, bytes.fromhex(point))
        chosen = SimpleNamespace(
            string=suite.string,
            ad=suite.ad,
            element=suite.element,
            carried=suite.carried,
            sender=lambda _, sender=sender: sender,
        )
        same = Geometry(cast(Suite, chosen), g.hops, g.commands, g.packet)
        body = message.to_body(g, "smtp", ["someone@example.org"], b"text\n", net.random)
        packet = build.forward(same, net.path(0, 2), body, net.random)
        steps = net.steps(0, packet, full=True)
        yield {"name": f"point-{name}", "first": 0, "packet": b64(packet), "steps": steps}


# -- bad packets ----------------------------------------------------------------------------


def bad(net: Network, frozen: list[Json]) -> Iterator[Json]:
    """Packets that are dropped, made from the good ones of the frozen list."""
    g = net.geometry
    bases = {entry["name"]: b64decode(entry["base"]) for entry in frozen if "base" in entry}

    routing_at, mac_at = 2 + g.suite.element, g.header - 32
    packet = bytearray(bases["reply"])
    keys, plain = hop_keys(net, bases["reply"])
    at = routing_at + 30  # the first octet of the address
    packet[at] ^= plain[30] ^ 0x1F
    mac = hmac_sha256(keys.mac, bytes(packet[:mac_at]))
    yield {
        "of": "reply",
        "name": "slot-reply-address-last-control",
        "reason": "slot",
        "replace": [[at, packet[at : at + 1].hex()], [mac_at, mac.hex()]],
    }

    for of in ("forward", "crossover"):
        keys, _ = hop_keys(net, bases[of])
        block = bytearray(payload.decrypt(g.suite, keys.payload, bases[of][g.header :]))
        block[31] ^= 1
        changed = payload.wrap(g.suite, [keys.payload], bytes(block))
        yield {
            "of": of,
            "name": f"payload-{of}-tag-last",
            "reason": "payload",
            "replace": [[g.header, changed.hex()]],
        }


# -- reply blocks ---------------------------------------------------------------------------


def surbs(g: Geometry, first: Json) -> Iterator[Json]:
    """Changed dates and frames of the *first*, which is good."""
    block = surb.Surb.decode(g, b64decode(first["surb"]))
    fields = first["surb_key"]
    hops = tuple(bytes.fromhex(secret) for secret in fields["hops"])
    key = surb.SurbKey(bytes.fromhex(fields["id"]), hops, bytes.fromhex(fields["key"]))
    equal = replace(block, not_before=block.not_after)
    yield first | {"name": "equal-dates"} | surb_fields(equal, key)

    size = g.sealed - 32
    inside = frame.encode(frame.Kind.REPLY, bytes(size - 8), size, SeededRandom(b""))
    for more in (1, 8):
        longer = inside[:4] + (size - 8 + more).to_bytes(4) + inside[8:]
        sealed = payload.encrypt(g.suite, key.key, payload.tagged(longer))
        octets = sealed + surb.tail(g, surb.tail_seed(g, key.key))
        for secret in hops:
            octets = payload.decrypt(g.suite, secret, octets)
        yield {"name": f"length-{more}-more", "payload": b64(octets)}


def main() -> None:
    for name in SMALL:
        path = Path(__file__).parent / f"small-{name}.json"
        contents = vectors.load(path.name)
        for part, entries in additions(name, contents).items():
            known = {entry["name"] for entry in contents[part]}
            contents[part] += [entry for entry in entries if entry["name"] not in known]
        path.write_text(json.dumps(contents, indent=1) + "\n", "ascii")


if __name__ == "__main__":
    main()
