"""What is packaged beside the code: plugins, news fragments, the operator's files."""

from __future__ import annotations

import re
import subprocess
import sys
from configparser import ConfigParser

from mixminion.app import authority_configuration
from mixminion.app.configuration import read
from mixminion.authority.config import SECTIONS as AUTHORITY_SECTIONS
from mixminion.config.schema import info
from mixminion.exits.abuse import AbuseSection
from mixminion.exits.section import ExitSection, FragmentsSection
from mixminion.mix.config import SECTIONS
from mixminion.testing.cases import SyncTestCase
from tests.source import ROOT

PLUGINS = """
import sys
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from mixminion.interfaces import IExitModule
print(*sorted(plugin.tapname for plugin in getPlugins(IServiceMaker)))
print(*sorted(plugin.name for plugin in getPlugins(IExitModule)))
heavy = ("mixminion.app", "mixminion.mix", "mixminion.exits.smtp", "lmdb", "twisted.mail")
print(*[name for name in heavy if name in sys.modules])
"""


class PluginTests(SyncTestCase):
    def test_loading_plugins_is_lazy(self) -> None:
        """twistd finds the server and the exits, and imports neither them nor the reactor."""
        done = subprocess.run(
            [sys.executable, "-c", PLUGINS], cwd=ROOT, capture_output=True, text=True, check=True
        )
        services, exits, heavy = done.stdout.split("\n")[:3]
        self.assertLessEqual({"mixminion", "mixminion-authority"}, set(services.split()))
        self.assertLessEqual({"drop", "smtp"}, set(exits.split()))
        self.assertEqual(heavy, "")

    def test_the_plugins_folder_is_no_package(self) -> None:
        """An __init__.py there would hide everybody else's plugins."""
        self.assertEqual(list((ROOT / "twisted").rglob("__init__.py")), [])


class NewsTests(SyncTestCase):
    others = ("README.rst", "template.rst")

    def test_fragments(self) -> None:
        """Every news fragment has a name that towncrier takes, and one or two sentences."""
        fragments = [p for p in (ROOT / "newsfragments").iterdir() if p.name not in self.others]
        for fragment in fragments:
            name = r"[a-z0-9-]+\.(feature|bugfix|removal|doc|misc)(\.\d+)?\.rst"
            self.assertRegex(fragment.name, f"^{name}$")
            text = fragment.read_text("utf-8").strip()
            self.assertTrue(text.endswith("."), fragment.name)
            self.assertLess(len(text), 700, fragment.name)


class OperatorFilesTests(SyncTestCase):
    """The files in contrib/initd."""

    folder = ROOT / "contrib" / "initd"

    def test_sample_configuration(self) -> None:
        """It is valid, says every key there is, and the defaults it shows are the defaults."""
        path = self.folder / "mixminiond.conf"
        text = path.read_text("utf-8")
        sample = read(text, path)
        whole = read(re.sub(r"^#(?=\[|[a-z-]+ =)", "", text, flags=re.M), path)
        for section in (*SECTIONS, AbuseSection, FragmentsSection):
            self.assertEqual(sample[section], whole[section])
            for key in info(section).options:
                self.assertRegex(text, rf"(?m)^#*{key} =", key)
        self.assertEqual(sorted(whole.named(ExitSection)), ["drop", "mailbox", "smtp"])

    def test_sample_authority(self) -> None:
        """The same for an authority's."""
        path = self.folder / "authority.conf"
        text = path.read_text("utf-8")
        sample = authority_configuration.read(text, path)
        whole = authority_configuration.read(re.sub(r"^#(?=[a-z-]+ =)", "", text, flags=re.M), path)
        examples = re.sub(r"^##(?=[a-z-]+ =)", "", text, flags=re.M)
        authority_configuration.read(examples, path)
        for section in AUTHORITY_SECTIONS:
            self.assertEqual(sample[section], whole[section])
            for key in info(section).options:
                self.assertRegex(text, rf"(?m)^#*{key} =", key)

    def test_init_script(self) -> None:
        """A POSIX shell can read it, and it says its usage with our exit code."""
        script = self.folder / "mixminion"
        done = subprocess.run(["sh", script, "dance"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 64)
        self.assertIn("start|stop", done.stderr)

    def test_unit(self) -> None:
        """The units keep cores and swap off, and leave TLS its callbacks; a server's locks
        memory, an authority's reads again."""
        for name, key in (
            ("mixminion.service", "LimitMEMLOCK"),
            ("mixminion-authority.service", "ExecReload"),
            ("mixminion-agent.service", "ExecReload"),
        ):
            unit = ConfigParser(strict=False, interpolation=None)
            unit.optionxform = str  # type: ignore[assignment, method-assign]
            unit.read(self.folder / name)
            service = dict(unit["Service"])
            self.assertEqual(service["LimitCORE"], "0")
            self.assertEqual(service["MemorySwapMax"], "0")
            self.assertIn(key, service)
            self.assertNotIn("MemoryDenyWriteExecute", service)


class ReadmeTests(SyncTestCase):
    def test_commands_exist(self) -> None:
        """Each ``make`` command that the documentation names is a target."""
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M))
        command = re.compile(r"(?:``|^ {3,})make ((?:[a-z]+ ?)+)", re.M)
        named = set()
        for path in [*ROOT.glob("*.rst"), *ROOT.glob("doc/**/*.rst")]:
            for words in command.findall(path.read_text("utf-8")):
                named |= set(words.split())
        self.assertGreaterEqual(named, {"demo", "test", "network", "docs"})
        self.assertLessEqual(named, targets)
