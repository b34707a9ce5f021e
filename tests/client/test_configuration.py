from pathlib import Path

from mixminion.client.configuration import (
    TEMPLATE,
    ClientSection,
    DirectorySection,
    find,
    load,
)
from mixminion.client.configuration import proxy as proxies
from mixminion.client.errors import ConfigurationUnreadable, NoConfiguration
from mixminion.client.path_section import PathsSection
from mixminion.config import ConfigErrors
from mixminion.dirhttp.sources import Source
from mixminion.disk.errors import PrivateFileError
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort

MINIMAL = f"[Directory]\nauthorities = {'ab' * 32}\nsources = 192.0.2.1:48099, http://x.example/\n"


class FindTests(SyncTestCase):
    """-f, then the environment, then the user's own, made from a template."""

    def setUp(self):
        self.home = Path(self.mktemp()).absolute()
        self.home.mkdir(0o700)

    def test_order(self):
        """The first that is named is used, whether it is there or not."""
        environment = {"MIXMINION_CONFIG": "/from/environment"}
        self.assertEqual(find("/named", environment, self.home), Path("/named"))
        self.assertEqual(find(None, environment, self.home), Path("/from/environment"))
        self.assertEqual(find("here", {}, self.home), Path.cwd() / "here")

    def test_template(self):
        """The first run writes a template, which then lacks just what only the user knows."""
        error = self.assertRaises(NoConfiguration, find, None, {}, self.home)
        path = self.home / ".config" / "mixminion" / "mixminion.conf"
        self.assertEqual(error.fields["path"], path)
        self.assertEqual(error.exit_code, 78)
        self.assertEqual(find(None, {}, self.home), path)
        errors = self.assertRaises(ConfigErrors, load, path)
        self.assertEqual(
            [problem.key for problem in errors.problems],
            ["[Directory] authorities"],
        )

    def test_template_is_complete(self):
        """With every key uncommented the template is a configuration."""
        lines = [
            line.removeprefix("#") for line in TEMPLATE.splitlines() if not line.startswith("# ")
        ]
        text = "\n".join(lines).replace("authorities =", "authorities = " + "ab" * 32)
        path = self.home / "full.conf"
        path.write_text(text.replace("sources =", "sources = 192.0.2.1:48099", 1))
        self.assertEqual(load(path)[PathsSection].default_path, "*4")


class LoadTests(SyncTestCase):
    """What a configuration says, and what is wrong with one."""

    def load(self, text):
        path = Path(self.mktemp()).absolute()
        path.write_text(text)
        return load(path)

    def test_minimal(self):
        """Authorities and sources are enough; state is kept beside the file."""
        config = self.load(MINIMAL)
        self.assertEqual(config[DirectorySection].identities, (b"\xab" * 32,))
        self.assertEqual(
            config[DirectorySection].sources,
            (Source(HostPort("192.0.2.1", 48099)), Source(HostPort("x.example", 80), tls=False)),
        )
        self.assertEqual(config[ClientSection].home, Path(config.filename).parent / "state")
        self.assertTrue(config[ClientSection].one_shot_notice)

    def test_wrong(self):
        """Unknown keys, bad keys, bad sources and empty lists, with their lines."""
        for text, key in (
            (MINIMAL + "proxi = x\n", "[Directory] proxi"),
            (MINIMAL + "proxy = socks5://x\n", "[Directory] proxy"),
            (f"[Directory]\nauthorities = {'ab' * 32}\n", "[Directory] sources"),
            (MINIMAL.replace("ab\n", f"ab, x {'ab' * 32}\n"), "[Directory] authorities"),
            (MINIMAL.replace("abab", "xyzz"), "[Directory] authorities"),
            (MINIMAL.replace("http:", "ftp:"), "[Directory] sources"),
            ("[Directory]\nauthorities =\nsources = 192.0.2.1:1\n", "[Directory] authorities"),
            (MINIMAL + "[Server]\nnickname = x\n", "[Server]"),
        ):
            errors = self.assertRaises(ConfigErrors, self.load, text)
            self.assertEqual([problem.key for problem in errors.problems], [key])

    def test_authorities(self):
        """With nicknames, and with URLs, which are sources as well."""
        keys = ["ab" * 32, "cd" * 32]
        config = self.load(
            "[Directory]\n"
            "authorities =\n"
            f"  moria {keys[0]} http://192.0.2.7/\n"
            f"  {keys[1]}\n"
            "sources = 192.0.2.1:48099, http://192.0.2.7:80/\n"
        )
        section = config[DirectorySection]
        self.assertEqual([each.nickname for each in section.authorities], ["moria", ""])
        self.assertEqual(section.identities, tuple(map(bytes.fromhex, keys)))
        self.assertEqual(
            list(map(str, section.places)), ["http://192.0.2.7:80/", "https://192.0.2.1:48099/"]
        )

    def test_proxy(self):
        """The configuration's proxy comes before the environment's; none is none at all."""
        environment = {"https_proxy": "http://192.0.2.9:3128"}
        place = HostPort("192.0.2.1", 48099)
        for line, found in (
            ("", "192.0.2.9:3128"),
            ("proxy = http://u:p@192.0.2.8:8080/\n", "192.0.2.8:8080"),
            ("proxy = none\n", None),
        ):
            section = self.load(MINIMAL + line)[DirectorySection]
            proxy = section.proxies(environment).of(place, tls=True)
            self.assertEqual(None if proxy is None else str(proxy.place), found)
        rendered = proxies.render(proxies.read("http://u:p@192.0.2.8:8080/"))
        self.assertEqual(rendered, "http://192.0.2.8:8080/")

    def test_changeable(self):
        """A file that others may change is refused; one that they may read is not."""
        path = Path(self.mktemp()).absolute()
        path.write_text(MINIMAL)
        path.chmod(0o644)
        load(path)
        path.chmod(0o666)
        self.assertRaises(PrivateFileError, load, path)

    def test_unreadable(self):
        """A file that is not there or not text is one sentence."""
        self.assertRaises(ConfigurationUnreadable, load, Path("/nonexistent/x.conf"))
        path = Path(self.mktemp())
        path.write_bytes(b"\xff")
        self.assertRaises(ConfigurationUnreadable, load, path)
