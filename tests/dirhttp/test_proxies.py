"""Which proxy leads to a source."""

from __future__ import annotations

from mixminion.dirhttp.errors import BadProxy
from mixminion.dirhttp.proxies import Proxies, Proxy
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort


def proxy(text: str) -> Proxy:
    return Proxy.parse(text, "$http_proxy")


def place(text: str) -> HostPort:
    return HostPort.parse(text)


class ProxyTests(SyncTestCase):
    """How a proxy is written."""

    def test_forms(self):
        """With and without scheme, port, user and password."""
        for text, where, credentials in (
            ("http://proxy.example:3128/", "proxy.example:3128", None),
            ("HTTP://proxy.example:3128", "proxy.example:3128", None),
            ("proxy.example:3128", "proxy.example:3128", None),
            ("http://proxy.example", "proxy.example:80", None),
            ("http://[2001:db8::1]:8080/", "[2001:db8::1]:8080", None),
            ("http://me:se%40cret@192.0.2.1:3128/", "192.0.2.1:3128", b"me:se@cret"),
            ("http://me@192.0.2.1:3128", "192.0.2.1:3128", b"me:"),
            ("http://m%C3%BC:a:b@192.0.2.1:3128", "192.0.2.1:3128", b"m\xc3\xbc:a:b"),
        ):
            self.assertEqual(proxy(text), Proxy(place(where), credentials), text)

    def test_refused(self):
        """SOCKS, TLS to the proxy, and what is no place; a password is not repeated."""
        for text in (
            "socks5://192.0.2.1:1080",
            "https://proxy.example:443/",
            "http://",
            "http://proxy.example:x/",
            "http://proxy.example:0/",
            "http://me:secret@/",
            "http://proxy.example/path",
            "://proxy",
        ):
            sentence = render(self.assertRaises(BadProxy, proxy, text))
            self.assertTrue(sentence.startswith("$http_proxy names no HTTP proxy"), sentence)
            self.assertNotIn("secret", sentence)
        self.assertNotIn("secret", repr(proxy("http://me:secret@proxy.example/")))

    def test_fields(self):
        """What the proxy is shown of us: nothing, or who we say we are."""
        self.assertEqual(proxy("proxy.example").fields, {})
        fields = proxy("http://Aladdin:open%20sesame@proxy.example").fields
        expected = b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # RFC 7617, section 2
        self.assertEqual(fields, {b"Proxy-Authorization": expected})


class EnvironmentTests(SyncTestCase):
    """What the environment says."""

    def test_variables(self):
        """One for each kind of source, one for both; small letters first, and of http_proxy
        only those, since a web server would let anybody set the capitals."""
        one, two, three = "one.example:1", "two.example:2", "three.example:3"
        for environment, http, https in (
            ({}, None, None),
            ({"http_proxy": one}, one, None),
            ({"https_proxy": two}, None, two),
            ({"http_proxy": one, "https_proxy": two, "all_proxy": three}, one, two),
            ({"http_proxy": one, "all_proxy": three}, one, three),
            ({"ALL_PROXY": three}, three, three),
            ({"HTTPS_PROXY": two, "HTTP_PROXY": one}, None, two),
            ({"https_proxy": two, "HTTPS_PROXY": three}, None, two),
            ({"http_proxy": "", "all_proxy": ""}, None, None),
        ):
            found = Proxies.from_environment(environment)
            for tls, text in ((False, http), (True, https)):
                expected = None if text is None else Proxy(place(text))
                self.assertEqual(found.of(place("192.0.2.1:80"), tls=tls), expected, environment)

    def test_no_http_proxy(self):
        """One that is there and cannot be used is no reason to go without."""
        for name in ("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"):
            environment = {name: "socks5h://127.0.0.1:9050"}
            error = self.assertRaises(BadProxy, Proxies.from_environment, environment)
            self.assertIn(f"${name} names", render(error))

    def test_exempt(self):
        """Domains, addresses, networks, ports, everything."""
        for listed, exempt, others in (
            ("example.org", ["example.org:1", "a.b.example.org:1"], ["notexample.org:1"]),
            (".example.org, mix", ["example.org:1", "mix:1"], ["mix.example:1"]),
            ("Example.ORG.", ["example.org:1"], ["example.com:1"]),
            ("192.0.2.1", ["192.0.2.1:1"], ["192.0.2.2:1", "a.example:1"]),
            ("192.0.2.0/24 2001:db8::/32", ["192.0.2.9:1", "[2001:db8::9]:1"], ["192.0.3.1:1"]),
            ("[2001:db8::1]", ["[2001:db8::1]:1"], ["[2001:db8::2]:1"]),
            (
                "a.example:80,192.0.2.1:81",
                ["a.example:80", "192.0.2.1:81"],
                ["a.example:81", "192.0.2.1:80"],
            ),
            ("[2001:db8::1]:80", ["[2001:db8::1]:80"], ["[2001:db8::1]:81"]),
            ("*", ["a.example:1", "192.0.2.1:1"], []),
            ("", [], ["a.example:1"]),
        ):
            for name in ("no_proxy", "NO_PROXY"):
                found = Proxies.from_environment({"all_proxy": "p.example", name: listed})
                for each in exempt:
                    self.assertIsNone(found.of(place(each), tls=True), (listed, each))
                for each in others:
                    self.assertIsNotNone(found.of(place(each), tls=True), (listed, each))

    def test_every(self):
        """One from a configuration is for all sources."""
        found = Proxies.every(proxy("p.example"))
        for tls in (True, False):
            self.assertEqual(found.of(place("192.0.2.1:1"), tls=tls), proxy("p.example"))
