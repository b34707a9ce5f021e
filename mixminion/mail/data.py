"""A whole message as SMTP's DATA wants it (RFC 5321, 4.5.2).

Done for the whole message at once: an encoder that works chunk by chunk has to know how the
last chunk ended, and one that does not lets a sender end DATA early and forge a second mail.
"""

from __future__ import annotations

from io import BytesIO

LONGEST_LINE = 998
"""Octets of a line without its CRLF (RFC 5322, 2.1.1)."""


_STEP = 2**20


def canonical(octets: bytes, start: int = 0) -> bytes:
    """*octets*, from *start* on, with CR, LF and CRLF all made CRLF, and a CRLF at the end unless
    empty.  What is so already is not copied; of what is not there is one copy and no more."""
    ends = octets.count(b"\r\n", start)
    if ends == octets.count(b"\r", start) == octets.count(b"\n", start) and (
        len(octets) <= start or octets.endswith(b"\r\n")
    ):
        return octets[start:]
    made = BytesIO()
    at = start
    while at < len(octets):
        end = at + _STEP
        while octets[end - 1 : end] == b"\r":  # it may be half a line end
            end += 1
        lines = octets[at:end].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        made.write(lines.replace(b"\n", b"\r\n"))
        at = end
    if not octets.endswith((b"\r", b"\n")):
        made.write(b"\r\n")
    return made.getvalue()


def encode(message: bytes) -> bytes:
    """The octets between the answer 354 and the line ``.``: canonical, dots stuffed."""
    stuffed = canonical(message).replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


def decode(octets: bytes) -> bytes:
    """The canonical message again, from what :func:`encode` made."""
    plain = octets.replace(b"\r\n.", b"\r\n")
    return plain[1:] if plain.startswith(b".") else plain


def has_long_line(message: bytes) -> bool:
    """Whether a line of a canonical message, or of a piece of one, is longer than
    :data:`LONGEST_LINE`."""
    at = 0  # where a line begins
    while len(message) - at > LONGEST_LINE:
        end = message.rfind(b"\n", at, at + LONGEST_LINE + 2)  # of the last line that ends here
        if end < 0:
            return True
        at = end + 1
    return False
