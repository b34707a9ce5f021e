"""A whole message as SMTP's DATA wants it (RFC 5321, 4.5.2).

Done for the whole message at once: an encoder that works chunk by chunk has to know how the
last chunk ended, and one that does not lets a sender end DATA early and forge a second mail.
"""

from __future__ import annotations

LONGEST_LINE = 998
"""Octets of a line without its CRLF (RFC 5322, 2.1.1)."""


def canonical(octets: bytes) -> bytes:
    """*octets* with CR, LF and CRLF all made CRLF, and a CRLF at the end unless empty."""
    ends = octets.count(b"\r\n")
    if ends == octets.count(b"\r") == octets.count(b"\n") and octets[-2:] in (b"", b"\r\n"):
        return octets  # as nearly all are, the second time; no copy of what may be large
    lines = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if lines and not lines.endswith(b"\n"):
        lines += b"\n"
    return lines.replace(b"\n", b"\r\n")


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
