"""Types of values: what is read, what is refused, what is written back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mixminion.config import BadValue, values
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort

GOOD: list[tuple[values.Value[Any], str, Any]] = [
    (values.text, "any text, [all] = of it", "any text, [all] = of it"),
    (values.text_up_to(3), "äöü", "äöü"),
    (values.lines, "one\ntwo", "one\ntwo"),
    (values.boolean, "yes", True),
    (values.boolean, "no", False),
    (values.integer(), "-3", -3),
    (values.integer(1, 64), "64", 64),
    (values.duration, "4 minutes", 240.0),
    (values.duration, "30s", 30.0),
    (values.duration, "50 ms", 0.05),
    (values.duration, "1.5 hours", 5400.0),
    (values.duration, "7 days", 604800.0),
    (values.duration, "1 week", 604800.0),
    (values.duration, "0 s", 0.0),
    (values.duration, "1234567.000001 s", 1234567.000001),
    (values.duration, "0.000001 ms", 1e-9),
    (values.duration, "999999999999999.999999 weeks", 6.048e20),
    (values.within(values.duration, 1.0, 60.0), "1 min", 60.0),
    (values.size, "32 KiB", 32768),
    (values.size, "1 GB", 10**9),
    (values.size, "1.5GiB", 3 * 2**29),
    (values.size, "700 octets", 700),
    (values.size, "999999999999999.5 TiB", (2 * 10**15 - 1) * 2**39),
    (values.path, "keys/a b", Path("keys/a b")),
    (values.host_port, "[::1]:80", HostPort("::1", 80)),
    (values.host_port, "mx.example:25", HostPort("mx.example", 25)),
    (values.listener, "[::]:0", HostPort("::", 0)),
    (values.list_of(values.integer()), "1, 2,\n3", (1, 2, 3)),
    (values.list_of(values.integer()), "", ()),
    (values.choice("plain", "starttls"), "starttls", "starttls"),
    (values.nickname, "Mix-1_a", "Mix-1_a"),
    (values.url, "http://127.1.0.1:8080/x", "http://127.1.0.1:8080/x"),
    (values.hex_key(), "0aF0" * 16, bytes.fromhex("0af0" * 16)),
    (values.mail_domain, "Mail.Example", "mail.example"),
]

BAD: list[tuple[values.Value[Any], str]] = [
    (values.text, ""),
    (values.text, "a\nb"),
    (values.text_up_to(3), "abcd"),
    (values.boolean, "true"),
    (values.boolean, "Yes"),
    (values.integer(), "1.0"),
    (values.integer(), "٣"),
    (values.integer(), "1_000"),
    (values.integer(), "9" * 30),
    (values.integer(1, 64), "0"),
    (values.integer(1, 64), "65"),
    (values.duration, "4"),
    (values.duration, "4 m"),
    (values.duration, "-4 s"),
    (values.duration, "4 parsecs"),
    (values.duration, "1e3 s"),
    (values.within(values.duration, 1.0, 60.0), "61 s"),
    (values.size, "32"),
    (values.size, "32 K"),
    (values.size, "0.3 B"),
    (values.size, "32 kib"),
    (values.path, "~/x"),
    (values.path, ""),
    (values.host_port, "mx.example"),
    (values.host_port, "mx.example:0"),
    (values.listener, "localhost:80"),
    (values.listener, "*:80"),
    (values.list_of(values.integer()), "1, x"),
    (values.list_of(values.integer()), "1, 1"),
    (values.choice("plain", "starttls"), "tls"),
    (values.nickname, "1a"),
    (values.nickname, "a" * 21),
    (values.nickname, "a b"),
    (values.nickname, "ä"),
    (values.url, "ftp://x/"),
    (values.hex_key(), "0a" * 31),
    (values.hex_key(), "0g" * 32),
    (values.mail_domain, "localhost"),
    (values.mail_domain, "a@b.example"),
    (values.mail_domain, "b.example\r\nX: y"),
]


class ValueTests(SyncTestCase):
    def test_good(self):
        """Each value is read, and what is written back reads as the same value."""
        for kind, text, expected in GOOD:
            found = kind.read(text)
            self.assertEqual(found, expected, (kind.expected, text))
            self.assertIs(type(found), type(expected))
            self.assertEqual(kind.read(kind.render(found)), found, kind.render(found))

    def test_bad(self):
        """Each wrong text is a BadValue with a sentence."""
        for kind, text in BAD:
            with self.assertRaises(BadValue, msg=(kind.expected, text)) as caught:
                kind.read(text)
            self.assertGreater(len(str(caught.exception)), 10)

    def test_render(self):
        """Sizes and times are written in the largest unit that is exact."""
        cases: list[tuple[values.Value[Any], float, str]] = [
            (values.size, 32768, "32 KiB"),
            (values.size, 10**9, "1 GB"),
            (values.size, 1001, "1001 B"),
            (values.size, 0, "0 B"),
            (values.duration, 240.0, "4 min"),
            (values.duration, 90.0, "90 s"),
            (values.duration, 0.05, "0.05 s"),
            (values.duration, 604800.0, "7 days"),
            (values.duration, 1234567.25, "1234567.25 s"),
            (values.duration, 1e-9, "0.000001 ms"),
        ]
        for kind, value, text in cases:
            self.assertEqual(kind.render(value), text)

    def test_limits_are_told(self):
        """What was expected names the limits, in the value's own units."""
        with self.assertRaises(BadValue) as caught:
            values.within(values.size, 2**20, 2**30).read("1 KiB")
        self.assertIn("at least 1 MiB and at most 1 GiB", str(caught.exception))
