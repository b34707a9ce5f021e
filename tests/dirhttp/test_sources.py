"""Sources of documents."""

from __future__ import annotations

from mixminion.dirhttp.errors import BadSource
from mixminion.dirhttp.sources import Source
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort


class ParseTests(SyncTestCase):
    """How sources are written."""

    def test_forms(self):
        """A server's own port, plain HTTP, IPv6, default ports."""
        for text, source, again in (
            ("https://192.0.2.1:48099/", Source(HostPort("192.0.2.1", 48099)), None),
            ("http://mix.example:8080", Source(HostPort("mix.example", 8080), False), None),
            ("http://[2001:db8::1]:80/", Source(HostPort("2001:db8::1", 80), False), None),
            (
                "https://mix.example",
                Source(HostPort("mix.example", 443)),
                "https://mix.example:443/",
            ),
            ("http://mix.example/", Source(HostPort("mix.example", 80), False), None),
        ):
            found = Source.parse(text)
            self.assertEqual(found, source)
            self.assertEqual(Source.parse(str(found)), source)
            if again is not None:
                self.assertEqual(str(found), again)

    def test_refused(self):
        """Other schemes, paths, and what is no address: the sentence shows a good one."""
        for text in (
            "ftp://a.example/",
            "a.example:80",
            "http://",
            "http://a.example:x/",
            "http://a.example/mixminion",
            "http://me@a.example/",
            "http://2001:db8::1/",
        ):
            error = self.assertRaises(BadSource, Source.parse, text)
            self.assertIn("https://HOST:PORT/", render(error))

    def test_url(self):
        """What is asked for."""
        source = Source.parse("http://[2001:db8::1]:80/")
        self.assertEqual(source.url(b"/x"), b"http://[2001:db8::1]:80/x")
