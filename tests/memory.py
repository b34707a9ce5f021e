"""Looks for private keys in the memory of processes.

``python -m tests.memory FOLDER < MEMORY`` prints the names of the keys of FOLDER that are in
what it reads; :func:`dump` is how a process gives its own memory to it, and :func:`scan`
reads that of another one, as root.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from mixminion.crypto import kem

CHUNK = 2**22
OVERLAP = 512
"""Octets: more than the longest form of a key."""

ELSEWHERE = ("[vvar]", "[vvar_vclock]", "[vsyscall]")  # the kernel's, and not readable as memory


def packet_secrets(seed: bytes) -> dict[str, bytes]:
    """A private packet key and what is computed from it: X-Wing's seed, ML-KEM's, X25519's."""
    expanded = hashlib.shake_256(seed).digest(96)
    clamped = bytearray(expanded[64:])
    clamped[0] &= 248
    clamped[31] = clamped[31] & 127 | 64
    return {
        "seed": seed,
        "d": expanded[:32],
        "z": expanded[32:64],
        "x25519": expanded[64:],
        "scalar": bytes(clamped),
    }


def signing_secrets(private: bytes) -> dict[str, bytes]:
    """A private Ed25519 key: its seed, its scalar and its prefix (RFC 8032)."""
    expanded = bytearray(hashlib.sha512(private).digest())
    expanded[0] &= 248
    expanded[31] = expanded[31] & 63 | 64
    return {"seed": private, "scalar": bytes(expanded[:32]), "prefix": bytes(expanded[32:])}


def forms(secret: bytes) -> Iterator[bytes]:
    """How 32 octets may stand in memory: either half raw, hexadecimal, base64 at any offset."""
    half = len(secret) // 2
    yield secret[:half]
    yield secret[half:]
    yield secret[:half].hex().encode()
    yield secret[half:].hex().encode()
    yield secret[:half].hex().upper().encode()
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + secret)
        whole = text[4 if shift else 0 : -4]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))


class Needles:
    """What is looked for, by name."""

    def __init__(self, secrets: dict[str, bytes]) -> None:
        self.secrets = secrets
        self.names = set(secrets)
        self._forms = {name: set(forms(secret)) for name, secret in secrets.items()}

    def found(self, pieces: Iterable[bytes]) -> set[str]:
        """The names of those that are in *pieces*, which follow each other."""
        found: set[str] = set()
        last = b""
        for piece in pieces:
            octets = last + piece
            found |= {
                name
                for name, forms in self._forms.items()
                if name not in found and any(form in octets for form in forms)
            }
            last = octets[-OVERLAP:]
        return found


def packet_keys(folder: Path) -> Needles:
    """The private packet keys in a server's folder of keys."""
    found: dict[str, bytes] = {}
    for path in folder.glob("packet-*.key"):
        seed = bytes.fromhex(json.loads(path.read_bytes())["private"])
        assert len(kem.public_from_seed(seed)) == kem.PUBLIC
        found |= {f"{path.stem} {name}": each for name, each in packet_secrets(seed).items()}
    return Needles(found)


def identity_key(folder: Path) -> Needles:
    """A server's identity key."""
    private = bytes.fromhex((folder / "identity.key").read_text())
    return Needles({f"identity {name}": each for name, each in signing_secrets(private).items()})


# -- memory ------------------------------------------------------------------------------------


def dump(process: str = "self") -> Iterator[bytes]:
    """All memory of a process that can be read, in pieces; a gap lies between mappings."""
    with open(f"/proc/{process}/maps", encoding="utf-8", errors="replace") as file:
        mappings = [line.split() for line in file]
    memory = os.open(f"/proc/{process}/mem", os.O_RDONLY)
    try:
        for addresses, flags, *rest in mappings:
            if not flags.startswith("r") or rest[-1] in ELSEWHERE:
                continue
            at, end = (int(address, 16) for address in addresses.split("-"))
            with contextlib.suppress(OSError):  # gone, or behind the end of a mapped file
                while at < end and (piece := os.pread(memory, min(CHUNK, end - at), at)):
                    yield piece
                    at += len(piece)
            yield bytes(OVERLAP)
    finally:
        os.close(memory)


def scan(pid: int, needles: Needles) -> set[str]:
    """Which of them another process has in its memory."""
    return needles.found(dump(str(pid)))


if __name__ == "__main__":
    keys = packet_keys(Path(sys.argv[1]))
    read = iter(lambda: sys.stdin.buffer.read(CHUNK), b"")
    sys.stdout.write(json.dumps(sorted(keys.found(read))))
