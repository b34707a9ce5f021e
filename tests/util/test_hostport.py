"""Host and port."""

from __future__ import annotations

from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort


class HostPortTests(SyncTestCase):
    def test_good(self):
        """Literals and names are read, and written in one canonical form."""
        for text, host, port, canonical in [
            ("192.0.2.1:48099", "192.0.2.1", 48099, "192.0.2.1:48099"),
            ("[::1]:80", "::1", 80, "[::1]:80"),
            ("[2001:DB8:0:0::1]:0", "2001:db8::1", 0, "[2001:db8::1]:0"),
            ("MX.Example:25", "mx.example", 25, "mx.example:25"),
            ("localhost:65535", "localhost", 65535, "localhost:65535"),
            ("xn--mnchen-3ya.example.:1", "xn--mnchen-3ya.example.", 1, None),
        ]:
            found = HostPort.parse(text)
            self.assertEqual((found.host, found.port), (host, port), text)
            self.assertEqual(str(found), canonical or text)
            self.assertEqual(HostPort.parse(str(found)), found)

    def test_default_port(self):
        """A port that is left out is the default, for every form of host."""
        for text in ("192.0.2.1", "[::1]", "mx.example"):
            self.assertEqual(HostPort.parse(text, default_port=25).port, 25)

    def test_bad(self):
        """Whatever is not a host and a port is a ValueError that says why."""
        for text in [
            "", ":", ":80", "host", "host:", "host:x", "host:65536", "host:-1", "host:٣",
            "::1:80", "[::1]", "[::1]x:80", "[::1:80", "[192.0.2.1]:80", "[host]:80", "192.0.2:80",
            "192.0.2.256:80", "-host:80", "ho st:80", "host..x:80", "a" * 64 + ":80",
            "user@host:80", "host:80:80", "héllo:80", "[fe80::1%eth0\n]:80",
        ]:  # fmt: skip
            with self.assertRaises(ValueError, msg=text) as caught:
                HostPort.parse(text)
            self.assertTrue(str(caught.exception), text)

    def test_address(self):
        """A name has no address; a literal has."""
        self.assertIsNone(HostPort.parse("host:1").address)
        self.assertEqual(str(HostPort.parse("[::1]:1").address), "::1")
