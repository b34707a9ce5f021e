"""An authority's configuration: parameters by name, profiles, suites, and what is refused."""

from __future__ import annotations

import msgspec

from mixminion.authority.config import SECTIONS, NetworkSection, Settings, kebab
from mixminion.config import ConfigErrors, parse
from mixminion.config.schema import info
from mixminion.directory.parameters import Parameters
from mixminion.testing.cases import SyncTestCase

HEAD = "[Authority]\nnickname = a\nurl = http://192.0.2.1:8080/\n"


def network(text: str) -> NetworkSection:
    return parse(f"{HEAD}[Network]\n{text}", filename="/x/a.conf", sections=SECTIONS)[
        NetworkSection
    ]


class NetworkTests(SyncTestCase):
    def test_every_parameter(self):
        """Each member of Parameters is a key, and has no default of its own."""
        options = info(NetworkSection).options
        for name in Parameters.__struct_fields__:
            self.assertIsNone(options[kebab(name)].default, name)

    def test_profiles(self):
        """A real network's parameters, or a local one's with a consensus every ten seconds."""
        self.assertEqual(network("").parameters(), Parameters.default())
        local = network("profile = local-demo\n").parameters()
        times = local.consensus_interval, local.consensus_fresh, local.consensus_valid
        self.assertEqual(times, (10, 10, 30))
        self.assertEqual(local.mean_delay_ms, 500)

    def test_given(self):
        """What is given goes before the profile; times may have a unit."""
        found = network("profile = local-demo\nhops = 3\nkey-period = 2 hours\nfragments = 9\n")
        local = network("profile = local-demo\n").parameters()
        expected = msgspec.structs.replace(local, hops=3, key_period=7200, fragments=9)
        self.assertEqual(found.parameters(), expected)
        self.assertEqual(network("key-period = 7200\n").parameters().key_period, 7200)

    def test_refused(self):
        """Values that no network can have, each with its key."""
        for text, key, part in [
            ("hops = 0", "hops", ">= 1"),
            ("hops = 33", "hops", "<= 32"),
            ("hops = 20", "hops", "no packet has room"),
            ("mean-delay-ms = 0", "mean-delay-ms", ">= 1"),
            ("mean-delay-ms = 9000000", "delay-cap-ms", "at least mean-delay-ms"),
            ("consensus-fresh = 60", "consensus-fresh", "at least consensus-interval"),
            ("consensus-valid = 2 min", "consensus-valid", "at least consensus-fresh"),
            ("strategy = magic", "strategy", "poisson"),
            ("key-period = 1.5 s", "key-period", "whole seconds"),
            ("suite = rot13", "suite", "xwing"),
            ("suite-from = rot13 7", "suite-from", "known suites: xwing, x25519"),
            ("suite-from = x25519", "suite-from", "whole number"),
            ("profile = mine", "profile", "default or local-demo"),
        ]:
            with self.subTest(text):
                error = self.assertRaises(ConfigErrors, network, text + "\n")
                self.assertIn(f"[Network] {key}", str(error.problems[0]))
                self.assertIn(part, str(error.problems[0]))

    def test_suites(self):
        """The suite of each key period, and the sizes that go with it."""
        plain = network("")
        self.assertEqual(plain.geometry(7).suite, "xwing")
        changing = network("suite-from = x25519 12\n")
        self.assertEqual(changing.geometry(11).suite, "xwing")
        self.assertEqual(changing.geometry(12).suite, "x25519")
        self.assertEqual(
            (changing.geometry(12).commands, changing.geometry(11).commands), (304, 82)
        )
        self.assertEqual(network("hops = 5\n").geometry(7).hops, 5)


class AuthorityTests(SyncTestCase):
    def test_urls(self):
        """Only what can be fetched from."""
        for url in ("ftp://x/", "192.0.2.1:80", "http://"):
            text = HEAD.replace("http://192.0.2.1:8080/", url)
            error = self.assertRaises(ConfigErrors, parse, text, filename="/x", sections=SECTIONS)
            self.assertIn("[Authority] url: expected an address such as", str(error.problems[0]))

    def test_authorities(self):
        """All of them, this one too or not; where the others are, and what they are called."""
        lines = f"moria {'01' * 32} http://192.0.2.1/, {'02' * 32} http://192.0.2.2:81/"
        found = self.read(lines)
        mine, other, third = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32
        self.assertEqual(found.authorities(mine), (mine, other))
        self.assertEqual(found.authorities(third), (third, mine, other))
        self.assertEqual({str(each) for each in found.sources(mine).values()},
                         {"http://192.0.2.2:81/"})  # fmt: skip
        self.assertEqual((found.name_of(mine), found.name_of(other)), ("moria", "02020202"))

    def test_refused(self):
        """Authorities twice, at one address, or without one."""
        key, other = "01" * 32, "02" * 32
        for lines, part in [
            (f"{key}", "expected an address behind 01010101"),
            (f"a {key} http://x.y/, b {key} http://x.z/", "01010101... stands there twice"),
            (f"{key} http://x.y/, {other} http://x.y:80/", "two authorities have the address"),
            (f"{key} ftp://x.y/", "expected http://HOST:PORT/"),
        ]:
            error = self.assertRaises(ConfigErrors, self.read, lines)
            self.assertIn("[Directory] authorities: ", str(error.problems[0]))
            self.assertIn(part, str(error.problems[0]))

    def read(self, lines: str) -> Settings:
        text = f"{HEAD}[Directory]\nauthorities = {lines}\n"
        return Settings.of(parse(text, filename="/x/a.conf", sections=SECTIONS))
