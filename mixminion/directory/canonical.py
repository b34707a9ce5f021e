"""Canonical JSON: RFC 8785 limited to objects, arrays, strings, booleans and integers.

There is exactly one sequence of octets for a value: no white space, members in the order
of their names' UTF-16 code units (RFC 8785 3.2.3), integers in decimal within
``-(2**53 - 1) .. 2**53 - 1``, strings in UTF-8 with the shortest escapes.  Objects and
arrays nest at most :data:`DEPTH` deep.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from mixminion.directory.errors import BadDocument

DEPTH = 8
GREATEST = 2**53 - 1

# The closing quote may be missing, so that no input makes the search start over and over.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
# Outside strings stand brackets, commas, colons, integers, true and false, and nothing else.
_ALLOWED = b"[]{}:,-0123456789"
_LONG = re.compile(rb"[0-9]{16,}")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ROUND = bytes.maketrans(b"[]{}", b"()()")
_BEYOND_BMP = re.compile(rb"[\xf0-\xff]")

_plain = msgspec.json.Encoder()
_sorted = msgspec.json.Encoder(order="sorted")


def encode(value: object) -> bytes:
    """The canonical octets of *value*: dicts with string keys, lists or tuples, str, bool, int.

    :raises ValueError: *value* holds anything else, or nests too deep.
    """
    return _plain.encode(_ordered(value, DEPTH))


def decode(octets: bytes, *, document: str = "document") -> Any:
    """The value of canonical octets; anything else is refused before it is built where it could
    cost more than its length (depth, long numbers).

    :raises BadDocument: *octets* are not canonical JSON; ``document`` names what they claim to be.
    """
    problem = _survey(octets)
    if problem is None:
        try:
            value = msgspec.json.decode(octets)
        except (msgspec.DecodeError, UnicodeDecodeError):
            problem = "not JSON"
        else:
            if recode(value) == octets:
                return value
            problem = "not in canonical form"
    raise BadDocument(document=document, problem=problem)


def recode(value: object) -> bytes:
    """The canonical octets of a value that was decoded, or made of such values; an order of
    magnitude faster than :func:`encode`, and what else *value* may be is not looked for."""
    # Code points, by which msgspec sorts, and UTF-16 code units sort differently only beyond
    # the BMP.
    octets = _sorted.encode(value)
    return encode(value) if _BEYOND_BMP.search(octets) else octets


def _survey(octets: bytes) -> str | None:
    """What is wrong with *octets* as far as can be seen without decoding them."""
    outside = _outside_strings(octets)
    if outside.replace(b"true", b"").replace(b"false", b"").translate(None, _ALLOWED):
        return "something else than objects, arrays, strings, booleans and integers"
    if any(int(number[:17]) > GREATEST for number in _LONG.findall(outside)):
        return "an integer beyond 2**53 - 1"
    brackets = outside.translate(_ROUND, _NOT_BRACKETS)
    for _ in range(DEPTH):
        brackets = brackets.replace(b"()", b"")  # takes the innermost level away, no more
    return "nested too deep" if brackets else None


def _outside_strings(octets: bytes) -> bytes:
    """*octets* without its strings.  Where nothing is escaped every second quote ends one, and
    splitting there takes a fifth of the search's time."""
    if b"\\" in octets:
        return _STRING.sub(b"", octets)
    return b"".join(octets.split(b'"')[::2])


def again(document: object, octets: bytes) -> bool:
    """Whether *octets* are the canonical ones of *document*, a msgspec struct whose members can
    hold canonical values only (``tests/directory/test_documents.py`` looks at their types): a
    quick yes, and any no may be wrong."""
    return _sorted.encode(document) == octets and (
        octets.isascii() or not _BEYOND_BMP.search(octets)
    )


def flat(value: object) -> bool:
    """Whether *value* is a string, boolean or integer, or an object of such."""
    if isinstance(value, dict):
        return all(flat(each) and not isinstance(each, dict) for each in value.values())
    return isinstance(value, str | bool) or (isinstance(value, int) and abs(value) <= GREATEST)


def within(value: object, depth: int) -> bool:
    """Whether objects and arrays in *value* nest at most *depth* deep, its own level counted."""
    if isinstance(value, dict):
        return depth > 0 and all(within(each, depth - 1) for each in value.values())
    if isinstance(value, list | tuple):
        return depth > 0 and all(within(each, depth - 1) for each in value)
    return True


def _ordered(value: object, depth: int) -> object:
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        if abs(value) > GREATEST:
            raise ValueError("an integer beyond 2**53 - 1")
        return value
    if depth == 0:
        raise ValueError("nested too deep")
    if isinstance(value, list | tuple):
        return [_ordered(item, depth - 1) for item in value]
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return {name: _ordered(value[name], depth - 1) for name in names}
    raise ValueError(f"{type(value).__name__} has no canonical form")
