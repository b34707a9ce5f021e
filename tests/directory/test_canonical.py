"""Canonical JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mixminion.directory import canonical
from mixminion.directory.errors import BadDocument
from mixminion.testing.cases import SyncTestCase

GREATEST = 2**53 - 1

scalars = st.booleans() | st.integers(-GREATEST, GREATEST) | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


class EncodeTests(SyncTestCase):
    """Values to octets."""

    def test_rfc_8785_order(self):
        """The example of RFC 8785 3.2.3: names are sorted by UTF-16 code units."""
        names = {
            "\u20ac": "Euro Sign",
            "\r": "Carriage Return",
            "\ufb33": "Hebrew Letter Dalet With Dagesh",
            "1": "One",
            "\U0001f600": "Emoji: Grinning Face",
            "\u0080": "Control",
            "\u00f6": "Latin Small Letter O With Diaeresis",
        }
        expected = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
        octets = canonical.encode(names)
        self.assertEqual(list(json.loads(octets)), expected)
        self.assertEqual(canonical.decode(octets), names)

    def test_rfc_8785_strings(self):
        """The string of RFC 8785 3.2.2: shortest escapes, everything else as it is."""
        text = '\u20ac$\u000f\nA\'B"\\\\"/'
        self.assertEqual(canonical.encode(text), '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode())

    def test_not_representable(self):
        """Whatever has no canonical form is refused, not rounded or stringified."""
        for value in (1.5, None, b"x", {1: 2}, 2**53, -(2**53), {"a": [{"b": 0.5}]}):
            self.assertRaises(ValueError, canonical.encode, value)

    def test_depth(self):
        """Eight levels are written, a ninth is refused."""
        value: Any = 1
        for _ in range(8):
            value = [value]
        self.assertEqual(canonical.encode(value), b"[" * 8 + b"1" + b"]" * 8)
        self.assertRaises(ValueError, canonical.encode, [value])


class DecodeTests(SyncTestCase):
    """Octets to values."""

    @settings(max_examples=200, deadline=None)
    @given(values)
    @example({"\U0001f600": 1, "\ufb33": 2})
    def test_round_trip(self, value):
        """What is encoded is read back, whatever order its members had."""
        if depth(value) > canonical.DEPTH:
            self.assertRaises(ValueError, canonical.encode, value)
            return
        octets = canonical.encode(value)
        self.assertEqual(canonical.decode(octets), value)
        self.assertEqual(json.loads(octets), value)

    @settings(max_examples=300, deadline=None)
    @given(
        st.binary(max_size=40) | st.text('{}[],:"\\truefalsn0123e.-', max_size=30).map(str.encode)
    )
    def test_one_form(self, octets):
        """Any octets are refused, or are the very ones their value encodes to."""
        try:
            value = canonical.decode(octets)
        except BadDocument:
            return
        self.assertEqual(canonical.encode(value), octets)

    def test_refused(self):
        """One case of everything that other JSON readers let pass."""
        cases = {
            "duplicate": b'{"a":1,"a":2}',
            "unsorted": b'{"b":1,"a":2}',
            "unsorted beyond the BMP": '{"\ufb33":1,"\U0001f600":2}'.encode(),
            "white space": b'{"a": 1}',
            "trailing line": b'{"a":1}\n',
            "null": b"[null]",
            "fraction": b"[1.0]",
            "exponent": b"[1e2]",
            "leading zero": b"[01]",
            "minus zero": b"[-0]",
            "large": b"[9007199254740992]",
            "very large": b"[" + b"9" * 5000 + b"]",
            "needless escape": b'["\\u0041"]',
            "upper-case escape": b'["\\u001F"]',
            "escaped slash": b'["\\/"]',
            "lone surrogate": b'["\\ud800"]',
            "surrogate in UTF-8": b'["\xed\xa0\x80"]',
            "not UTF-8": b'["\xff"]',
            "unterminated": b'["a]',
            "unclosed": b'[["a"]',
            "two values": b"[][]",
            "byte order mark": b"\xef\xbb\xbf[]",
            "comment": b"[/*1*/]",
            "nan": b"[NaN]",
            "empty": b"",
            "nine levels": b"[" * 9 + b"]" * 9,
            "nine levels, mixed": b'{"a":[' * 4 + b"{}" + b"]}" * 4,
        }
        for name, octets in cases.items():
            with self.subTest(name):
                self.assertRaises(BadDocument, canonical.decode, octets)

    def test_greatest(self):
        """The greatest integers pass, and long digits inside strings are no integers."""
        for octets in (b"[9007199254740991,-9007199254740991]", b'["99999999999999999999"]'):
            self.assertEqual(canonical.encode(canonical.decode(octets)), octets)

    def test_depth_of_siblings(self):
        """Brackets in strings and beside each other do not count as depth."""
        octets = canonical.encode({"a": "[[[[[[[[[[", "b": [[], [], {}] * 20})
        self.assertEqual(len(canonical.decode(octets)["b"]), 60)

    def test_hostile_lengths(self):
        """A megabyte of nesting, quotes or digits is refused at once and without recursion."""
        for octets in (
            b"[" * 10**6,
            b'"\\' * 5 * 10**5,
            b'\\"' * 5 * 10**5,
            b"1" * 10**6,
            b'[{"a":' * 10**5,
        ):
            self.assertRaises(BadDocument, canonical.decode, octets)
