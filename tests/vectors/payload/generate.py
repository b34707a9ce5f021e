"""Makes what is frozen here but ``erasure.json``: ``python -m tests.vectors.payload.generate``.

Compressed octets depend on the library that compresses; what they expand to does not.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mixminion.crypto.rng import SeededRandom
from mixminion.payload import deflate, erasure, fragments, frame, message, receipt
from mixminion.payload.fragments import Coding, Fragment, Whole
from mixminion.payload.receipt import Outcome, Receipt
from mixminion.sphinx import suites
from mixminion.sphinx.geometry import Geometry

FOLDER = Path(__file__).parent
GEOMETRY = Geometry(suites.X25519, 2, 96, 720)


def octets(name: str, n: int) -> bytes:
    return hashlib.shake_256(name.encode()).digest(n)


def good() -> list[dict[str, Any]]:
    """Frames that fill a body, and the message in each."""
    random = SeededRandom(b"payload vectors")
    cases: list[tuple[str, list[str], bytes]] = [
        ("drop", [], b""),
        ("smtp", ["bob@example.org"], b"Subject: x\r\n\r\nhello\r\n"),
        ("mbox-2", ["alice", "b\u00f6b"], octets("body", 40)),
        ("smtp", ["bob@example.org"], b"Subject: lines\r\n\r\n" + b"line after line\r\n" * 60),
    ]
    return [
        {
            "frame": message.to_body(GEOMETRY, exit, recipients, content, random).hex(),
            "exit": exit,
            "recipients": recipients,
            "content": content.hex(),
        }
        for exit, recipients, content in cases
    ]


def bad() -> list[dict[str, str]]:
    """Frames that are dropped, and why."""
    inside = message.encode("drop", [], b"x" * 400)
    packed = b"".join(deflate.deflate([inside], len(inside)))
    random = SeededRandom(b"bad")

    def framed(kind: frame.Kind, content: bytes) -> bytes:
        return frame.encode(kind, content, GEOMETRY.body, random)

    cases = {
        "version": b"\2" + framed(frame.Kind.MESSAGE, inside)[1:],
        "kind": b"\1\7" + framed(frame.Kind.MESSAGE, inside)[2:],
        "zeros": b"\1\1\0\1" + framed(frame.Kind.MESSAGE, inside)[4:],
        "length": b"\1\1\0\0\xff" + framed(frame.Kind.MESSAGE, inside)[5:],
        "exit": framed(frame.Kind.MESSAGE, b"\0\0"),
        "recipient": framed(frame.Kind.MESSAGE, b"\1x\1\0\1\n"),
        "short": framed(frame.Kind.MESSAGE, b"\1x\1\0\2a"),
        "size": framed(frame.Kind.DEFLATED, b"\0\1\0\0" + packed[4:]),
        "deflate": framed(frame.Kind.DEFLATED, packed + b"\0"),
        "coding": framed(frame.Kind.FRAGMENT, octets("id", 16) + b"\4" + bytes(263)),
        "block": framed(frame.Kind.FRAGMENT, octets("id", 16) + bytes(264)),
    }
    return [{"frame": made.hex(), "problem": problem} for problem, made in cases.items()]


def in_fragments() -> list[dict[str, Any]]:
    """Messages of one block and of three, one of them deflated, without half of their data."""
    made = []
    text = message.encode("smtp", ["bob@example.org"], octets("message", 700))
    long = message.encode("drop", [], octets("long", 129 * 256 - 7))
    spare = message.encode("drop", [], octets("spare", 300) * 6)
    deflated = b"".join(deflate.deflate([spare], len(spare)))
    for coding, coded, plain in (
        (Coding.PLAIN, text, text),
        (Coding.DEFLATED, deflated, spare),
        (Coding.PLAIN, long, long),
    ):
        whole = Whole(octets(f"id {len(coded)}", 16), coding, len(coded), 256)
        parts = []
        for block in range(whole.blocks):
            at, k = whole.start(block), whole.data(block)
            held = coded[at : at + whole.length(block)].ljust(k * 256, b"\0")
            data = [held[n * 256 : (n + 1) * 256] for n in range(k)]
            for number in fragments.numbers(k):
                if number >= k or number % 2:
                    piece = data[number] if number < k else erasure.repair(data, number)
                    parts.append(Fragment(whole, block, number, piece).encode())
            lacking = k - k // 2 - (fragments.enough(k) - k)
            for number in range(0, 2 * max(0, lacking), 2):
                parts.append(Fragment(whole, block, number, data[number]).encode())
        made.append(
            {
                "id": whole.id.hex(),
                "coding": int(coding),
                "piece": whole.piece,
                "coded": coded.hex(),
                "message": plain.hex(),
                "fragments": [each.hex() for each in parts],
            }
        )
    return made


def replies() -> dict[str, list[dict[str, str]]]:
    """What an opened ``Y`` has behind its zeros, in a place of 720 octets: good ones, whose content
    is that of a reply or a fragment, and such as are refused."""
    random, size = SeededRandom(b"replies"), 720
    text = b"line after line\r\n" + octets("text", 300) * 3
    packed = b"".join(deflate.deflate([text], len(text)))
    part = Fragment(Whole(octets("id", 16), Coding.PLAIN, 1400, 680), 0, 1, octets("piece", 680))

    def framed(kind: frame.Kind, content: bytes) -> str:
        return frame.encode(kind, content, size, random).hex()

    good = [
        (frame.Kind.REPLY, b"", b""),
        (frame.Kind.REPLY, b"Subject: x\r\n\r\nhello\r\n", b"Subject: x\r\n\r\nhello\r\n"),
        (frame.Kind.DEFLATED, packed, text),
        (frame.Kind.FRAGMENT, part.encode(), part.encode()),
    ]
    bad = [
        (frame.Kind.MESSAGE, message.encode("drop", [], b"x"), "kind"),
        (frame.Kind.COVER, b"", "kind"),
        (frame.Kind.CROSSOVER, b"x", "kind"),
        (frame.Kind.DEFLATED, b"\0\1\0\0" + packed[4:], "size"),
        (frame.Kind.DEFLATED, packed[:-1], "deflate"),
        (frame.Kind.FRAGMENT, part.encode()[:200], "short"),
    ]
    return {
        "good": [
            {"inside": framed(kind, content), "content": opened.hex()}
            for kind, content, opened in good
        ],
        "bad": [
            {"inside": framed(kind, content), "problem": problem} for kind, content, problem in bad
        ],
    }


def receipts() -> dict[str, Any]:
    """Receipts, what is none, and the beginnings of messages that ask for one."""
    id = octets("id", 16)
    made = [
        Receipt(id, Outcome.ACCEPTED, 1_800_000_000, "smtp-250"),
        Receipt(id, Outcome.REFUSED, 1_800_003_599, "blocked"),
        Receipt(id, Outcome.EXPIRED, 0, ""),
    ]
    one = made[0].encode()
    bad = {
        "a shorter one": (one[:33], "short"),
        "another magic": (b"MIXRCPT2" + one[8:], "receipt"),
        "no outcome": (one[:24] + b"\0" + one[25:], "receipt"),
        "another length": (one + b"x", "receipt"),
        "an address": (one[:33] + b"\3a@b", "receipt"),
    }
    blocks = [octets("block", 40), octets("other", 60)]
    return {
        "receipts": [
            {
                "content": each.encode().hex(),
                "id": each.id.hex(),
                "outcome": int(each.outcome),
                "date": each.date // 3600 * 3600,
                "reason": each.reason,
            }
            for each in made
        ],
        "bad": [{"what": what, "content": c.hex(), "problem": p} for what, (c, p) in bad.items()],
        "asking": [
            {
                "coded": (receipt.asking(blocks[:n]) + b"message").hex(),
                "blocks": [block.hex() for block in blocks[:n]],
                "message": b"message".hex(),
            }
            for n in (1, 2)
        ],
        "not asking": [
            {"coded": coded.hex(), "problem": problem}
            for coded, problem in ((b"", "short"), (b"\0", "blocks"), (b"\5", "blocks"))
            + ((b"\1\0\4abc", "short"), (b"\1\0", "short"))
        ],
    }


def write(name: str, value: Any) -> None:
    (FOLDER / name).write_text(json.dumps(value, indent=1) + "\n", "ascii")


if __name__ == "__main__":
    write("frames.json", {"good": good(), "bad": bad()})
    write("replies.json", replies())
    write("fragments.json", {"messages": in_fragments()})
    write("receipts.json", receipts())
