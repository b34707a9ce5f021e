from pathlib import Path

from mixminion.client.configuration import TEMPLATE, DirectorySection, load
from mixminion.client.errors import ConfigurationUnreadable, HasConfiguration
from mixminion.client.joining import prepare, revise, write
from mixminion.client.path_section import PathsSection
from mixminion.config import ConfigErrors
from mixminion.directory.bootstrap import Authority, Bootstrap
from mixminion.testing.cases import SyncTestCase

ONE, TWO, THREE = (
    Authority(bytes([n] * 32), f"auth{n}", f"http://192.0.2.{n}:80/") for n in (1, 2, 3)
)
FIRST = Bootstrap("example", (ONE, TWO), ("https://198.51.100.7:48099/",))
SECOND = Bootstrap("example", (TWO, THREE))


class JoiningTests(SyncTestCase):
    """What becomes of a configuration."""

    def setUp(self):
        self.path = Path(self.mktemp()).absolute() / "config" / "mixminion.conf"

    def join(self, bootstrap, replace=False):
        return write(self.path, prepare(self.path, bootstrap, "net.conf", replace=replace))

    def test_new(self):
        """A template, filled in."""
        self.assertIsNone(self.join(FIRST))
        section = load(self.path)[DirectorySection]
        self.assertEqual(section.authorities, (ONE, TWO))
        self.assertEqual(
            [str(place) for place in section.places],
            ["http://192.0.2.1:80/", "http://192.0.2.2:80/", "https://198.51.100.7:48099/"],
        )
        self.assertIn("# joined: example, from net.conf\n", self.path.read_text())
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_template(self):
        """One that the first run wrote, and nobody changed, is filled in, too."""
        self.path.parent.mkdir(parents=True)
        self.path.write_text(TEMPLATE)
        self.assertIsNone(self.join(FIRST))
        self.assertEqual(self.path.read_text(), revise(TEMPLATE, FIRST, "net.conf"))

    def test_again(self):
        """Joining once more with the same file changes nothing and needs no permission."""
        self.join(FIRST)
        text = self.path.read_text()
        self.assertIsNone(self.join(FIRST))
        self.assertEqual(self.path.read_text(), text)
        self.assertEqual(len(list(self.path.parent.iterdir())), 1)

    def test_not_replaced(self):
        """One that is there stays, unless it is said that it should not."""
        self.join(FIRST)
        text = self.path.read_text()
        error = self.assertRaises(HasConfiguration, self.join, SECOND)
        self.assertEqual((error.exit_code, error.fields["path"]), (73, self.path))
        self.assertEqual(self.path.read_text(), text)

    def test_replaced(self):
        """An authority is replaced, everything else stays, and every former one is kept."""
        self.join(FIRST)
        text = self.path.read_text().replace("#default-path", "default-path")
        text = text.replace("#proxy", "proxy")
        self.path.write_text(text)
        aside = self.join(SECOND, replace=True)
        self.assertEqual(aside.read_text(), text)
        config = load(self.path)
        self.assertEqual(config[DirectorySection].authorities, (TWO, THREE))
        self.assertEqual(config[DirectorySection].sources, ())
        self.assertEqual(config[PathsSection].default_path, "*4")
        again = self.join(FIRST, replace=True)
        self.assertNotEqual(again, aside)
        self.assertEqual(load(again)[DirectorySection].authorities, (TWO, THREE))
        self.assertEqual(self.path.read_text().count("# joined"), 1)

    def test_handwritten(self):
        """Lists on one line or several, with comments between, and sections in any order."""
        written = revise(
            "[ Directory ]\n"
            "authorities = " + "ab" * 32 + ",\n"
            "  # the old ones\n"
            "  " + "cd" * 32 + "\n"
            "# ours\n"
            "proxy = none\n"
            "sources = 192.0.2.1:48099\n"
            "\n"
            "[Client]\n"
            "home = elsewhere\n",
            SECOND,
            "a\nb",
        )
        self.assertEqual(
            written,
            "[ Directory ]\n"
            "# ours\n"
            "proxy = none\n"
            "# joined: example, from a file\n"
            "authorities =\n"
            f"  auth2 {'02' * 32} http://192.0.2.2:80/\n"
            f"  auth3 {'03' * 32} http://192.0.2.3:80/\n"
            "\n"
            "[Client]\n"
            "home = elsewhere\n",
        )
        self.assertTrue(
            revise("[Client]\nhome = x\n", SECOND, "f").startswith("[Client]\nhome = x\n\n[Dir")
        )
        self.assertTrue(revise("", SECOND, "f").startswith("[Directory]\n# joined"))

    def test_errors(self):
        """One that is wrong elsewhere, or no text, stays as it is."""
        self.path.parent.mkdir(parents=True)
        self.path.write_text("[Client]\nhoome = x\n")
        self.assertRaises(ConfigErrors, self.join, FIRST, replace=True)
        self.assertEqual(self.path.read_text(), "[Client]\nhoome = x\n")
        self.path.write_bytes(b"\xff")
        self.assertRaises(ConfigurationUnreadable, self.join, FIRST, replace=True)
