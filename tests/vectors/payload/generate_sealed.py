"""Makes ``sealed.json``: ``python -m tests.vectors.payload.generate_sealed``.

Encapsulation draws its own randomness: what is made differs from what is frozen, which is made anew
only when the format changes.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

from mixminion.crypto import hpke, kem
from mixminion.payload import deflate, sealed


def octets(name: str, n: int) -> bytes:
    return hashlib.shake_256(name.encode()).digest(n)


def encrypted() -> dict[str, Any]:
    """Encrypted messages, good and bad; encapsulation makes them others every time."""
    seed, other = octets("seed", 32), octets("other", 32)
    public, info = kem.public_from_seed(seed), sealed.INFO + sealed.HEAD
    mail = b"Subject: x\r\n\r\n" + b"".join(b"line %d\r\n" % number for number in range(60))
    sizes = [1200, 1400]
    cases = [
        (sealed.Kind.OCTETS, b""),
        (sealed.Kind.OCTETS, octets("text", 50)),
        (sealed.Kind.MAIL, mail),
    ]
    good = [
        {
            "sealed": sealed.seal(public, content, sizes, kind),
            "kind": int(kind),
            "content": content,
        }
        for kind, content in cases
    ]
    packed = b"".join(deflate.deflate([mail], len(mail)))
    long = len(packed).to_bytes(4)

    def inside(made: bytes) -> bytes:
        return sealed.HEAD + hpke.seal(public, made, info)

    text = inside(b"\0\0\0\0\0\4text" + bytes(8))
    last = bytes((text[-1] ^ 1,))
    bad = [
        (problem, text)
        for problem, text in (
            ("version", text[:7] + b"\2" + text[8:]),
            ("kind", b"mix" + text[3:]),
            ("forged", text[:-1] + last),
            ("forged", text[:8] + bytes((text[8] ^ 1,)) + text[9:]),
            ("forged", text[:-1]),
            ("forged", text[:8]),
            ("forged", sealed.HEAD + hpke.seal(public, b"\0\0\0\0\0\4text", b"another info")),
            (
                "forged",
                sealed.HEAD + hpke.seal(kem.public_from_seed(other), b"\0\0\0\0\0\4text", info),
            ),
            ("short", inside(b"\0\0\0\0\0")),
            ("kind", inside(b"\2\0\0\0\0\4text")),
            ("coding", inside(b"\0\2\0\0\0\4text")),
            ("length", inside(b"\0\0\0\0\0\5text")),
            ("zeros", inside(b"\0\0\0\0\0\4text\0\1\0")),
            ("size", inside(b"\1\1" + long + b"\0\1\0\0" + packed[4:])),
            ("deflate", inside(b"\1\1" + long + packed[:20] + bytes(len(packed) - 20))),
            ("deflate", inside(b"\1\1" + (len(packed) + 1).to_bytes(4) + packed + b"\0")),
        )
    ]
    return {
        "seed": seed,
        "public": public,
        "good": good,
        "bad": [{"sealed": text, "problem": problem} for problem, text in bad],
    }


def in_base64(value: Any) -> str:
    """For octets among what is written."""
    return b64encode(value).decode()


if __name__ == "__main__":
    made = json.dumps(encrypted(), indent=1, default=in_base64)
    Path(__file__).with_name("sealed.json").write_text(made + "\n", "ascii")
