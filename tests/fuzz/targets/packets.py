"""Packets, reply blocks, and what packets carry."""

from __future__ import annotations

from mixminion.crypto.rng import SeededRandom
from mixminion.payload import (
    cover,
    deflate,
    erasure,
    fragments,
    frame,
    joined,
    message,
    receipt,
    reply,
)
from mixminion.payload.errors import BadPayload
from mixminion.payload.fragments import Coding, Fragment, Whole
from mixminion.payload.receipt import Outcome, Receipt
from mixminion.sphinx import build, crossover, header, payload, slots, suites, surb
from mixminion.sphinx.errors import BadSurb, Dropped
from mixminion.sphinx.geometry import AD, MAC, Geometry
from mixminion.sphinx.header import Hop
from mixminion.sphinx.keys import Context
from mixminion.sphinx.surb import Surb, SurbKey
from mixminion.sphinx.unwrap import Deliver, Relay, Reply, Unwrapper
from tests.fuzz.driver import Subject, Target

XWING = Geometry(suites.XWING, 2, 82, 7460)
X25519 = Geometry(suites.X25519, 2, 96, 720)

_NODE = bytes(range(32))
_PRIVATE = bytes(range(32, 64))
_DELAYS = (0, 1, 240_000, 2**32 - 1)


def _random() -> SeededRandom:
    return SeededRandom(b"fuzz")


def _path(geometry: Geometry) -> list[Hop]:
    key = geometry.suite.public(_PRIVATE)
    return [Hop(_NODE, key, delay) for delay in _DELAYS[-geometry.hops :]]


def _block(geometry: Geometry) -> tuple[Surb, SurbKey]:
    return surb.make(geometry, _path(geometry), "smtp", "bob@example.org", 1, 2**40, _random())


def _packets(geometry: Geometry) -> list[bytes]:
    """One packet of each kind, as each hop gets it."""
    random, path = _random(), _path(geometry)
    block, _ = _block(geometry)
    body = message.to_body(geometry, "smtp", ["bob@example.org"], b"\r\nhello", random)
    made = [
        build.forward(geometry, path, body, random),
        build.forward(geometry, path[:1], cover.body(geometry, random), random),
        build.crossover(geometry, path, reply.to_body(geometry, block, b"yes", random), random),
        block.header + random.octets(geometry.payload),
    ]
    opener = Unwrapper(geometry, _NODE, _PRIVATE)
    found = []
    for packet in made:
        answer = opener.unwrap(packet)
        found.append(packet)
        while isinstance(answer, Relay):
            found.append(answer.packet)
            answer = opener.unwrap(answer.packet)
    return found


def _check_answer(geometry: Geometry, answer: Relay | Deliver | Reply) -> object:
    assert len(answer.tag) == 16 and 0 <= answer.delay_ms < 2**32
    match answer:
        case Relay(next=following, packet=packet):
            assert len(following) == 32 and len(packet) == geometry.packet
        case Deliver(body=body):
            assert len(body) == geometry.body
        case Reply(surb_id=surb_id, payload=block, exit=exit, address=address):
            assert len(surb_id) == 16 and len(block) == geometry.payload
            assert exit.isascii() and exit.isprintable() and "\n" not in address
    return type(answer)


def _unwrapping(geometry: Geometry) -> Subject:
    """Packets as they come from the wire."""
    opener = Unwrapper(geometry, _NODE, _PRIVATE)

    def run(octets: bytes) -> object:
        return _check_answer(geometry, opener.unwrap(octets))

    return Subject(run, _packets(geometry))


def _sealed(geometry: Geometry) -> Subject:
    """What a sender who knows the key can put into a packet: routing and payload as given,
    under a good MAC and good layers."""
    opener = Unwrapper(geometry, _NODE, _PRIVATE)
    receiver = geometry.suite.receiver(_PRIVATE)
    packets = _packets(geometry)
    routing_at, mac_at = AD + geometry.suite.element, geometry.header - MAC
    element = packets[0][AD:routing_at]
    keys = Context(geometry, _NODE).keys(receiver.secret(element))
    stream = header.stream(geometry, keys, bytes(geometry.routing))[: geometry.routing]
    size = geometry.routing + geometry.payload

    def opened(packet: bytes) -> bytes:
        own = Context(geometry, _NODE).keys(receiver.secret(packet[AD:routing_at]))
        plain = header.stream(geometry, own, packet[routing_at:mac_at])[: geometry.routing]
        return plain + payload.decrypt(geometry.suite, own.payload, packet[geometry.header :])

    def run(octets: bytes) -> object:
        octets = octets[:size].ljust(size, b"\0")
        routing = int.from_bytes(octets[: geometry.routing]) ^ int.from_bytes(stream)
        ahead = geometry.suite.ad + element + routing.to_bytes(geometry.routing)
        block = payload.encrypt(geometry.suite, keys.payload, octets[geometry.routing :])
        return _check_answer(geometry, opener.unwrap(ahead + header.mac(keys, ahead) + block))

    return Subject(run, [opened(packet) for packet in packets])


def _slots() -> Subject:
    geometry, random = X25519, _random()
    corpus = [
        slots.encode_relay(geometry, slots.RelaySlot(7, _NODE, _PRIVATE, b"")),
        slots.encode_last(geometry, slots.ForwardSlot(2**32 - 1), random),
        slots.encode_last(geometry, slots.CrossoverSlot(0), random),
        slots.encode_last(geometry, slots.ReplySlot(1, bytes(16), "smtp", "ö@example"), random),
        slots.encode_last(geometry, slots.ReplySlot(1, bytes(16), "x", ""), random),
    ]

    def run(octets: bytes) -> object:
        octets = octets[: geometry.slot].ljust(geometry.slot, b"\0")
        slot = slots.parse(geometry, octets)
        if isinstance(slot, slots.RelaySlot):
            assert slots.encode_relay(geometry, slot) == octets
        elif slot is not None:
            again = slots.encode_last(geometry, slot, _random())
            assert slots.parse(geometry, again) == slot
        return type(slot)

    return Subject(run, corpus)


def _surbs(geometry: Geometry) -> Subject:
    def run(octets: bytes) -> object:
        block = Surb.decode(geometry, octets)
        assert block.encode() == octets
        return block.usable(2**20, 3600.0)

    return Subject(run, [_block(geometry)[0].encode()])


def _crossovers() -> Subject:
    """A crossover frame at the mix that sends it on."""
    block, _ = _block(X25519)
    real = reply.to_body(X25519, block, b"yes", _random())

    def run(octets: bytes) -> object:
        crossed = crossover.cross(X25519, octets[: X25519.body].ljust(X25519.body, b"\0"))
        if crossed is None:
            return None
        assert len(crossed[0]) == 32 and len(crossed[1]) == X25519.packet
        return True

    return Subject(run, [real, cover.body(X25519, _random())])


def _frames() -> Subject:
    corpus = [frame.encode(kind, b"content", 40, _random()) for kind in frame.Kind]

    def run(octets: bytes) -> object:
        found = frame.parse(octets)
        again = frame.encode(found.kind, found.content, len(octets), _random())
        assert again[: frame.HEAD + len(found.content)] == octets[: frame.HEAD + len(found.content)]
        return found.kind

    return Subject(run, corpus)


def _messages() -> Subject:
    corpus = [
        message.encode("smtp", ["bob@example.org"], b"Subject: x\r\n\r\nhello"),
        message.encode("mbox-2", ["alice", "bob", "ö" * 200], b""),
        message.encode("drop", [], b"nothing"),
        message.encode("x" * 255, ["a"] * 255, b"y"),
    ]

    def run(octets: bytes) -> object:
        exit, recipients, content = message.parse(octets)
        assert message.encode(exit, recipients, content) == octets
        return min(len(recipients), 3)

    return Subject(run, corpus)


def _fragments() -> Subject:
    """Fragments, and what a message that its fragments describe has for layout."""
    corpus = [
        Fragment(Whole(bytes(16), coding, size, 256), block, index, bytes(256)).encode()
        for coding, size, block, index in (
            (Coding.PLAIN, 1, 0, 0),
            (Coding.DEFLATED, 300, 0, 255),
            (Coding.PLAIN, 2**32 - 1, 65_535, 64),
            (Coding.PLAIN, 65 * 256, 1, 32),
            (Coding.RECEIPT, 1, 0, 0),
        )
    ]

    def run(octets: bytes) -> object:
        found = Fragment.parse(octets)
        whole = found.whole
        assert found.encode() == octets
        assert 0 < whole.data(found.block) <= erasure.MOST_DATA
        assert whole.start(found.block) + whole.length(found.block) <= whole.size
        return whole.coding, min(whole.blocks, 3)

    return Subject(run, corpus)


def _receipts() -> Subject:
    """Receipts, and the beginnings of messages that ask for one."""
    corpus = [
        Receipt(bytes(16), Outcome.REFUSED, 1_800_000_000, "blocked").encode(),
        Receipt(bytes(16), Outcome.EXPIRED, 0, "").encode(),
        receipt.asking([b"block"]) + b"message",
        receipt.asking([b"", b"block" * 60]),
    ]

    def run(octets: bytes) -> object:
        if receipt.is_receipt(octets):
            found = Receipt.parse(octets)
            assert "@" not in found.reason and len(found.reason) < 32
            assert found.date % receipt.ROUNDED or found.encode() == octets
            return found.outcome, bool(found.reason)
        blocks, end = receipt.asked(octets)
        assert octets[:end] == receipt.asking(blocks)
        return len(blocks)

    return Subject(run, corpus)


def _deflated() -> Subject:
    """Compressed messages, whole and in pieces; never more than they may expand to."""
    texts = (b"", b"abc", b"line after line\r\n" * 200, bytes(range(256)) * 9, bytes(3000))
    corpus = [b"".join(deflate.deflate([text], len(text))) for text in texts]

    def run(octets: bytes) -> object:
        pieces = [octets[at : at + 100] for at in range(0, len(octets), 100)]
        made = 0
        try:
            for each in deflate.inflate(pieces, len(octets), 20_000):
                made += len(each)
        finally:
            assert made <= min(20_000, deflate.RATIO * len(octets))
        assert made == int.from_bytes(octets[:4]) == len(message.expand(octets))
        return min(made, 3)

    return Subject(run, corpus)


def _replies() -> Subject:
    """A sealed reply as it reaches its owner, as sent and with every layer in order."""
    geometry = X25519
    block, key = _block(geometry)
    body = reply.to_body(geometry, block, b"yes", _random())
    opener = Unwrapper(geometry, _NODE, _PRIVATE)
    crossed = crossover.cross(geometry, body)
    assert crossed is not None
    answer = opener.unwrap(crossed[1])
    while isinstance(answer, Relay):
        answer = opener.unwrap(answer.packet)
    assert isinstance(answer, Reply)
    packed = b"".join(deflate.deflate([b"yes" * 50], 150))
    inside = [
        bytes(32) + frame.encode(kind, content, geometry.sealed - 32, _random())
        for kind, content in (
            (frame.Kind.REPLY, b"yes"),
            (frame.Kind.DEFLATED, packed),
            (frame.Kind.FRAGMENT, bytes(30)),
            (frame.Kind.MESSAGE, b"no"),
        )
    ]
    tail = surb.tail(geometry, surb.tail_seed(geometry, block.key))

    def run(octets: bytes) -> object:
        first = reply.open(geometry, key, octets)
        plain = octets[: geometry.sealed].ljust(geometry.sealed, b"\0")
        sealed = payload.encrypt(geometry.suite, block.key, plain) + tail
        for secret in key.hops:
            sealed = payload.decrypt(geometry.suite, secret, sealed)
        found = reply.unseal(geometry, key, sealed)
        second = reply.open(geometry, key, sealed)
        if found is None:
            assert second is None
            return first is None, None
        assert found.kind in reply.INSIDE and found.content in plain
        if found.kind is not frame.Kind.FRAGMENT and second is not None:
            assert second == reply.content(found, len(second))
            assert len(second) <= deflate.RATIO * len(found.content)
        return first is None, found.kind, second is None

    return Subject(run, [answer.payload, *inside])


def _joined() -> Subject:
    """Pieces of a reply in fragments as its owner has them; never more than the limit."""
    text = b"line after line\r\n" * 400
    packed = b"".join(deflate.deflate([text], len(text)))
    corpus = [bytes((1,)) + packed, bytes((0,)) + text, bytes((1,)) + packed + text[:600]]

    def run(octets: bytes) -> object:
        coding, coded = Coding(octets[0] & 3 if octets else 0), octets[1:] or b"x"
        whole = Whole(bytes(16), coding, len(coded), 256)
        pieces = {}
        for block in range(whole.blocks):
            at = whole.start(block)
            numbers = fragments.numbers(whole.data(block))[-whole.data(block) :]
            cut = coded[at : at + whole.length(block)]
            parts = fragments.pieces(whole, block, cut, numbers)
            pieces[block] = {part.index: part.octets for part in parts}
        made = joined.join(whole, pieces, 5000)
        assert len(made) <= 5000
        assert coding is Coding.DEFLATED or made == coded
        return coding, min(whole.blocks, 2)

    return Subject(run, corpus)


TARGETS = [
    Target("unwrap-xwing", lambda: _unwrapping(XWING), (Dropped,), longest=XWING.packet + 8),
    Target("unwrap-x25519", lambda: _unwrapping(X25519), (Dropped,), longest=X25519.packet + 8),
    Target("sealed-xwing", lambda: _sealed(XWING), (Dropped,), longest=XWING.packet),
    Target("sealed-x25519", lambda: _sealed(X25519), (Dropped,), longest=X25519.packet),
    Target("slot", _slots, longest=X25519.slot),
    Target("surb-xwing", lambda: _surbs(XWING), (BadSurb,)),
    Target("surb-x25519", lambda: _surbs(X25519), (BadSurb,), longest=X25519.surb + 8),
    Target("crossover", _crossovers, longest=X25519.body),
    Target("frame", _frames, (BadPayload,), longest=128),
    Target("message", _messages, (BadPayload,), longest=2048),
    Target("fragment", _fragments, (BadPayload,), longest=512),
    Target("receipt", _receipts, (BadPayload,), longest=1024),
    Target("deflated", _deflated, (BadPayload,), longest=1024),
    Target("joined", _joined, (BadPayload,), longest=8192),
    Target("reply", _replies, longest=X25519.payload + 8),
]
