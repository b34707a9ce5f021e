"""The two kinds of text inside packets: names of exits, and addresses."""

from __future__ import annotations

import re

_EXIT_NAME = re.compile(rb"[\x21-\x7e]{1,255}")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


def is_exit_name(octets: bytes) -> bool:
    """1 to 255 octets of printable ASCII without space."""
    return _EXIT_NAME.fullmatch(octets) is not None


def is_address(octets: bytes) -> bool:
    """0 to 65,535 octets of UTF-8 without control characters."""
    if len(octets) > 0xFFFF or _CONTROL.search(octets):
        return False
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
