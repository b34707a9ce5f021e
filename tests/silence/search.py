"""Looking for what may not be written down, in every form in which it could have been."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

SHORTEST = 4
"""Octets of the shortest thing that is looked for: less is found everywhere."""


@dataclass(frozen=True, slots=True)
class Found:
    """A secret of *kind*, and in which *form* it stood *where*."""

    kind: str
    form: str
    where: str
    line: str


def forms(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """Every form of *secret* that is looked for, by name; letters small where they may be
    either."""
    yield "raw", secret.lower()
    yield "hex", secret.hex().encode()
    yield "hex, separated", secret.hex(":").encode()
    yield "escaped", repr(secret)[2:-1].lower().encode()
    text = secret.decode("latin-1")
    yield "url-quoted", quote(secret, safe="").lower().encode()
    yield "url-quoted in part", quote(secret).lower().encode()
    yield "url-quoted form", quote_plus(secret).lower().encode()
    yield "url-quoted throughout", "".join(f"%{ord(letter):02x}" for letter in text).encode()
    for skipped in range(3):
        for name, alphabet in (("base64", b"+/"), ("base64url", b"-_")):
            # What its neighbours would change is cut off at both ends.
            encoded = base64.b64encode(bytes(skipped) + secret, alphabet)
            first = (skipped * 8 + 5) // 6
            whole = (skipped + len(secret)) * 8 // 6
            yield f"{name}, {skipped} octets after", encoded[first:whole]


class Secrets:
    """What may not be found, by kind; an address is looked for with its local part alone too."""

    def __init__(self) -> None:
        self._secrets: dict[bytes, str] = {}

    def __len__(self) -> int:
        return len(self._secrets)

    def add(self, kind: str, *secrets: bytes | str) -> None:
        """Look for these as well."""
        for each in secrets:
            octets = each.encode() if isinstance(each, str) else each
            if len(octets) < SHORTEST:
                raise ValueError(f"{kind}: {octets!r} is too short to look for")
            self._secrets[octets] = kind

    def search(self, texts: Mapping[str, bytes]) -> list[Found]:
        """All that stands in *texts* (by name), once for each secret and text."""
        small = {where: text.lower() for where, text in texts.items()}
        found = []
        for secret, kind in self._secrets.items():
            sought = dict(forms(secret))
            for where, text in texts.items():
                for form, octets in sought.items():
                    searched = text if form.startswith("base64") else small[where]
                    at = searched.find(octets)
                    if at >= 0:
                        found.append(Found(kind, form, where, _line(text, at)))
                        break
        return found


def _line(text: bytes, at: int) -> str:
    """The line round that place."""
    first, end = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
    line = text[first : end if end >= 0 else None][:400].decode("utf-8", "replace")
    return re.sub(r"[^ -~]", "?", line)
