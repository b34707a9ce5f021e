"""Ways to spoil an input, all of them repeatable from the generator they are given.

A mutator takes a :class:`Dice`, the octets to spoil and a second input to borrow from, and
gives new octets.  :data:`OCTETS` know nothing of formats, :data:`SHORT` know numbers as well,
:data:`LINES` lines, folding, names and values; :data:`JSON` reads the input as JSON, changes
the tree and writes it canonically, so that the change arrives behind the checks of form;
:data:`DER` does the same to X.509.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_NUMBERS = sorted(
    {0, 1, 2, 127, 200, 250, 255, 256, 999, 1000, 1001}
    | {2**bits + d for bits in (7, 8, 15, 16, 31, 32, 53, 63, 64) for d in (-1, 0, 1)}
)
_OCTETS = b"\x00\x01\x02\x03\x04\x05\x7f\x80\x81\xfe\xff\r\n \t.,:;=\"'<>{}[]()%\\-_/?*~@#aA09"
_DIGITS = re.compile(rb"[0-9]+")
_ENDS = (b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b"\0", b"\r\r\n", b"\n ", b"\r\n\t", b"")


class Dice:
    """The generator of one run, the words its inputs are made of, and the longest of them."""

    def __init__(self, seed: str, words: Sequence[bytes] = (), longest: int = 4096) -> None:
        random = Random(seed)
        self.random = random.random
        self.bits = random.getrandbits
        self.words = tuple(words)
        self.longest = longest

    def below(self, n: int) -> int:
        """Nearly uniform, and fast."""
        return int(self.random() * n)

    def small(self, n: int) -> int:
        """Below *n*, and mostly far below it."""
        return int(n * self.random() ** 4)

    def one(self, items: Sequence[T]) -> T:
        """One of *items*."""
        return items[int(self.random() * len(items))]

    def octets(self, n: int) -> bytes:
        """So many random octets."""
        return self.bits(8 * n).to_bytes(n, "big") if n else b""

    def number(self) -> int:
        """A number at one of the edges that programs have."""
        return self.one(_NUMBERS) if self.random() < 0.8 else self.bits(1 + self.below(64))

    def count(self) -> int:
        """How often to repeat something: a few times, or very often."""
        if self.random() < 0.9:
            return 2 + self.below(6)
        return 2 + int(self.longest * self.random() ** 2)


Mutator = Callable[[Dice, bytes, bytes], bytes]


# -- octets ------------------------------------------------------------------------------


def flip(dice: Dice, data: bytes, other: bytes) -> bytes:
    """One bit."""
    if not data:
        return dice.octets(1)
    spoilt = bytearray(data)
    spoilt[dice.below(len(data))] ^= 1 << dice.below(8)
    return bytes(spoilt)


def octet(dice: Dice, data: bytes, other: bytes) -> bytes:
    """One octet: a special one, any one, or a neighbour of what was there."""
    if not data:
        return bytes((dice.one(_OCTETS),))
    spoilt = bytearray(data)
    at = dice.below(len(data))
    way = dice.random()
    if way < 0.5:
        spoilt[at] = dice.one(_OCTETS)
    elif way < 0.75:
        spoilt[at] = dice.bits(8)
    else:
        spoilt[at] = (spoilt[at] + dice.below(9) - 4) % 256
    return bytes(spoilt)


def integer(dice: Dice, data: bytes, other: bytes) -> bytes:
    """A big-endian integer of 1, 2, 4 or 8 octets: an edge, the input's length, a neighbour."""
    size = dice.one((1, 2, 4, 8))
    if len(data) < size:
        return data + bytes(size)
    at = dice.below(len(data) - size + 1)
    way = dice.random()
    if way < 0.6:
        value = dice.number()
    elif way < 0.8:
        value = len(data) - at - size + dice.below(3) - 1
    else:
        value = int.from_bytes(data[at : at + size]) + dice.below(9) - 4
    return data[:at] + (value % (1 << 8 * size)).to_bytes(size) + data[at + size :]


def truncate(dice: Dice, data: bytes, other: bytes) -> bytes:
    """The beginning, or now and then the end."""
    at = dice.below(len(data) + 1)
    return data[:at] if dice.random() < 0.8 else data[at:]


def extend(dice: Dice, data: bytes, other: bytes) -> bytes:
    """Something at the end."""
    n = dice.count()
    return data + dice.one((bytes(n), dice.octets(min(n, 64)), data[-1:] * n, b"\xff" * n, other))


def remove(dice: Dice, data: bytes, other: bytes) -> bytes:
    """A piece less."""
    at = dice.below(len(data) + 1)
    return data[:at] + data[at + 1 + dice.small(len(data)) :]


def repeat(dice: Dice, data: bytes, other: bytes) -> bytes:
    """A piece again, once or very often."""
    at = dice.below(len(data) + 1)
    piece = data[at : at + 1 + dice.small(min(len(data), 256))]
    times = min(dice.count(), dice.longest // (len(piece) or 1))
    return data[:at] + piece * times + data[at:]


def insert(dice: Dice, data: bytes, other: bytes) -> bytes:
    """A word, a special octet often, or random octets, between."""
    at = dice.below(len(data) + 1)
    way = dice.random()
    if dice.words and way < 0.6:
        piece = dice.one(dice.words)
    elif way < 0.8:
        piece = bytes((dice.one(_OCTETS),)) * dice.count()
    else:
        piece = dice.octets(1 + dice.below(8))
    return data[:at] + piece + data[at:]


def lengthen(dice: Dice, data: bytes, other: bytes) -> bytes:
    """An octet that is there, or a blank, in its place many times."""
    at = dice.below(len(data) or 1)
    again = dice.one((data[at : at + 1] or b"x", b" ", b"\t", b"\n"))
    return data[:at] + again * dice.count() + data[at:]


def grow(dice: Dice, data: bytes, other: bytes) -> bytes:
    """A length of 1, 2 or 4 octets, and as many more octets behind it as it says."""
    size = dice.one((1, 1, 2, 4))
    if len(data) < size:
        return data + bytes(size)
    at = dice.below(len(data) - size + 1)
    inside = at + size
    length = int.from_bytes(data[at:inside])
    more = min(dice.count() * dice.one((1, 8)), (1 << 8 * size) - 1 - length)
    new: bytes = dice.one((bytes(more), b"x" * more, data[inside : inside + more]))
    return data[:at] + (length + len(new)).to_bytes(size) + new + data[inside:]


def overwrite(dice: Dice, data: bytes, other: bytes) -> bytes:
    """A word or a piece of the other input, over what was there."""
    at = dice.below(len(data) + 1)
    if dice.words and dice.random() < 0.5:
        piece = dice.one(dice.words)
    else:
        start = dice.below(len(other) + 1)
        piece = other[start : start + 1 + dice.small(len(other))]
    return data[:at] + piece + data[at + len(piece) :]


def splice(dice: Dice, data: bytes, other: bytes) -> bytes:
    """The beginning of one and the end of the other."""
    if dice.random() < 0.5:  # at the same place, as fields of fixed length want it
        at = dice.below(min(len(data), len(other)) + 1)
        return data[:at] + other[at:]
    return data[: dice.below(len(data) + 1)] + other[dice.below(len(other) + 1) :]


def digits(dice: Dice, data: bytes, other: bytes) -> bytes:
    """A decimal number that stands in the input, replaced."""
    found = list(_DIGITS.finditer(data[:8192]))
    if not found:
        return integer(dice, data, other)
    number = dice.one(found)
    new = b"%d" % dice.number() if dice.random() < 0.95 else b"9" * dice.count()
    return (
        data[: number.start()]
        + dice.one((b"", b"", b"", b"-", b"0", b"+"))
        + new
        + data[number.end() :]
    )


# -- lines -------------------------------------------------------------------------------


def lines(dice: Dice, data: bytes, other: bytes) -> bytes:
    """A line dropped, doubled, moved, joined, borrowed, or repeated very often."""
    rows = data.split(b"\n")
    at = dice.below(len(rows))
    way = dice.below(6)
    if way == 0:
        del rows[at]
    elif way == 1:
        times = min(dice.count(), dice.longest // (len(rows[at]) + 1))
        rows[at : at + 1] = [rows[at]] * times
    elif way == 2:
        rows.insert(dice.below(len(rows)), rows.pop(at))
    elif way == 3:
        rows[at : at + 2] = [b"".join(rows[at : at + 2])]
    elif way == 4:
        rows.insert(at, dice.one(other.split(b"\n")))
    else:
        rows.insert(at, dice.one(dice.words) if dice.words else b"")
    return b"\n".join(rows)


def line_end(dice: Dice, data: bytes, other: bytes) -> bytes:
    """Another kind of line end: at one line, or at all."""
    end = dice.one(_ENDS)
    if dice.random() < 0.2:
        return data.replace(b"\r\n", b"\n").replace(b"\n", end)
    at = data.find(b"\n", dice.below(len(data) + 1))
    at = len(data) if at < 0 else at
    start = at - 1 if data[at - 1 : at] == b"\r" else at
    return data[:start] + end + data[at + 1 :]


def value(dice: Dice, data: bytes, other: bytes) -> bytes:
    """What stands behind a name: emptied, made long, folded, doubled, or a word."""
    rows = data.split(b"\n")
    at = dice.below(len(rows))
    name, sign, old = _parted(rows[at])
    way = dice.below(6)
    if way == 0:
        new = b""
    elif way == 1:
        new = old + (old[-1:] or b"x") * dice.count()
    elif way == 2:
        middle = dice.below(len(old) + 1)
        new = old[:middle] + dice.one((b"\r\n ", b"\n\t", b"\n ", b"\r ")) + old[middle:]
    elif way == 3:
        new = old + dice.one((b" ", b",", b";", b"")) + old
    elif way == 4 and dice.words:
        new = dice.one(dice.words)
    else:
        new = _parted(dice.one(other.split(b"\n")))[2]
    rows[at] = name + sign + new
    return b"\n".join(rows)


def _parted(row: bytes) -> tuple[bytes, bytes, bytes]:
    sign = min((b":", b"=", b" "), key=lambda s: row.find(s) % 2**32)
    return row.partition(sign)


# -- JSON --------------------------------------------------------------------------------

_write = msgspec.json.Encoder(order="sorted").encode
_read = msgspec.json.Decoder().decode


def json(dice: Dice, data: bytes, other: bytes) -> bytes:
    """A value somewhere in the tree changed; no JSON is spoilt as octets are."""
    try:
        tree = _read(data)
        for _ in range(1 + dice.below(2)):
            tree = _changed(dice, tree, other)
        return _write(tree) + data[len(data.rstrip()) :]  # some are ended by a line feed
    except (ValueError, RecursionError):  # no JSON, or none that can be written
        return octet(dice, data, other)


def _changed(dice: Dice, node: Any, other: bytes) -> Any:
    """*node* with one thing in it changed, all else shared with it."""
    if isinstance(node, dict) and node:
        name = dice.one(list(node))
        way = dice.random()
        if way < 0.8:
            return node | {name: _changed(dice, node[name], other)}
        if way < 0.9:
            return {key: each for key, each in node.items() if key != name}
        if way < 0.95:
            return node | {name: _leaf(dice, node[name], other)}
        return node | {_text(dice, name): node[name]}
    if isinstance(node, list) and node:
        at = dice.below(len(node))
        way = dice.random()
        if way < 0.8:
            return [*node[:at], _changed(dice, node[at], other), *node[at + 1 :]]
        if way < 0.87:
            return [*node[:at], *node[at + 1 :]]
        if way < 0.94:
            most = dice.longest // len(_write(node[at]))
            times = min(dice.one((2, 2, 3, 9, 65, 300)), most)
            return [*node[:at], *[node[at]] * times, *node[at + 1 :]]
        return [*node[at:], *node[:at]]
    return _leaf(dice, node, other)


def _leaf(dice: Dice, old: Any, other: bytes) -> Any:
    """Another value in the place of *old*: mostly of its kind."""
    way = dice.random()
    if way < 0.15:
        return dice.one((0, 1, -1, "", True, False, None, [], {}, "x", [[]], {"": 0}, 0.5))
    if way < 0.2:
        return _borrowed(dice, other)
    if isinstance(old, bool):
        return not old
    if isinstance(old, int):
        return dice.number() if way < 0.6 else old + dice.one((-1, 1, -old, old, 3600, -3600))
    if isinstance(old, str):
        return _text(dice, old)
    return [old] if way < 0.6 else {"x": old}


def _text(dice: Dice, old: str) -> str:
    if len(old) > 20 and dice.random() < 0.5:
        try:  # base64, as keys and payloads are
            inside = base64.b64decode(old, validate=True)
        except (binascii.Error, ValueError):
            pass
        else:
            return base64.b64encode(dice.one(OCTETS)(dice, inside, inside)[:8192]).decode()
    way = dice.random()
    if way < 0.3:
        return old + (old[-1:] or "x") * dice.count()
    if way < 0.4:
        return old + chr(dice.one((0, 10, 0x7F, 0x85, 0xE9, 0x2028, 0xFFFF, 0x1F600)))
    spoilt = dice.one(OCTETS)(dice, old.encode(), b"".join(dice.words[:4]))
    return spoilt[:8192].decode("utf-8", "replace")


def _borrowed(dice: Dice, other: bytes) -> Any:
    """Some value of the other input."""
    try:
        node = _read(other)
    except (ValueError, RecursionError):
        return 0
    while isinstance(node, dict | list) and node and dice.random() < 0.8:
        node = dice.one(list(node.values())) if isinstance(node, dict) else dice.one(node)
    return node


# -- DER ---------------------------------------------------------------------------------


def der(dice: Dice, data: bytes, other: bytes) -> bytes:
    """One element of nested DER changed, and the lengths around it put right."""
    elements = list(_elements(data, 0, len(data), ()))
    if not elements:
        return octet(dice, data, other)
    head, at, end, around = dice.one(elements)
    content = data[at:end]
    way = dice.below(6)
    if way == 0:
        new = b""
    elif way == 1:
        new = data[head:end] * 2
    elif way == 2:
        new = _der(dice.one((data[head], dice.bits(8))), dice.one(OCTETS)(dice, content, other))
    elif way == 3:
        new = _der(data[head] ^ (1 << dice.below(8)), content)
    elif way == 4:
        start, _, stop, _ = dice.one(elements)
        new = data[start:stop]
    else:
        new = _der(data[head], content[:1] * dice.count())
    for start, inside, stop in reversed(around):
        new = _der(data[start], data[inside:head] + new + data[end:stop])
        head, end = start, stop
    return data[:head] + new + data[end:]


_Around = tuple[tuple[int, int, int], ...]


def _elements(
    data: bytes, at: int, end: int, around: _Around
) -> Iterator[tuple[int, int, int, _Around]]:
    """Where each element, its content and its end are, and the same of those around it."""
    while at + 2 <= end:
        long = data[at + 1] & 0x7F if data[at + 1] & 0x80 else 0
        inside = at + 2 + long
        length = int.from_bytes(data[at + 2 : inside]) if long else data[at + 1]
        stop = inside + length
        if long > 4 or stop > end:
            return
        yield at, inside, stop, around
        if data[at] & 0x20:
            yield from _elements(data, inside, stop, (*around, (at, inside, stop)))
        at = stop


def _der(tag: int, content: bytes) -> bytes:
    n = len(content)
    if n < 0x80:
        return bytes((tag, n)) + content
    size = (n.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + n.to_bytes(size) + content


OCTETS: tuple[Mutator, ...] = (
    flip, octet, octet, integer, integer, truncate, extend, remove, repeat, insert, overwrite,
    splice, lengthen, grow,
)  # fmt: skip
LINES: tuple[Mutator, ...] = (
    lines, lines, line_end, value, value, digits, insert, overwrite, octet, repeat, splice, remove,
    truncate, lengthen,
)  # fmt: skip
SHORT: tuple[Mutator, ...] = (*OCTETS, digits, digits)
JSON: tuple[Mutator, ...] = (json,) * 12 + (digits, insert, octet, truncate)
DER: tuple[Mutator, ...] = (der,) * 6 + (flip, octet, integer, truncate)


def spoil(dice: Dice, data: bytes, other: bytes, mutators: Sequence[Mutator]) -> bytes:
    """One to a few mutations, and never longer than the dice allow."""
    for _ in range(1 + dice.small(6)):
        data = dice.one(mutators)(dice, data, other)[: dice.longest]
    return data
