"""A server's configuration, and what the guide for operators says of it."""

from __future__ import annotations

import re
from pathlib import Path

import mixminion
from mixminion import errors
from mixminion.app import configuration
from mixminion.config.schema import info
from mixminion.exits.section import ExitSection
from mixminion.mix.config import SECTIONS, DirectorySection, IncomingSection, ServerSection
from mixminion.testing.cases import SyncTestCase

ROOT = Path(mixminion.__file__).parent.parent
DOC = ROOT / "doc"
SAMPLE = ROOT / "contrib" / "initd" / "mixminiond.conf"


class ReferenceTests(SyncTestCase):
    def test_every_key(self):
        """Every key of every section and of every installed exit is in the reference."""
        text = configuration.reference()
        for section in SECTIONS:
            for key in info(section).options:
                self.assertIn(f"``{key}``", text)
        for exit_key in ("relay", "domain", "retry-first"):
            self.assertEqual(text.count(f"``{exit_key}``\n"), 1)


class GuideTests(SyncTestCase):
    def test_example(self):
        """The configuration that the guide shows is a good one."""
        page = (DOC / "operate" / "configuration.rst").read_text("utf-8")
        (block,) = re.findall(r"\.\. code-block:: ini\n\n((?:   .*\n|\n)+)", page)
        text = re.sub(r"(?m)^   ", "", block)
        config = configuration.read(text, Path("/srv/mix/mixminiond.conf"))
        self.assertEqual(config[ServerSection].nickname, "example1")
        self.assertEqual(len(config[IncomingSection].addresses), 2)
        self.assertEqual(config.home, Path("/srv/mix"))

    def test_sample(self):
        """The sample is a good configuration, and the defaults it shows are the defaults."""
        path = SAMPLE.absolute()
        sample = path.read_text("utf-8")
        written = configuration.read(sample, path)
        shown = configuration.read(re.sub(r"(?m)^#(?=[a-z-]+ = |\[)", "", sample), path)
        for section in set(SECTIONS) - {DirectorySection}:
            self.assertEqual(written[section], shown[section])
        self.assertEqual(list(shown.named(ExitSection)), ["smtp", "drop"])

    def test_exit_codes(self):
        """The page of exit codes has every code there is."""
        page = (DOC / "use" / "exit-codes.rst").read_text("utf-8")
        told = {int(code) for code in re.findall(r"(?m)^(\d+) ", page)}
        codes = {value for name, value in vars(errors).items() if name.startswith("EX_")}
        self.assertEqual(told, codes | {0, 1, 130})


class ComposeTests(SyncTestCase):
    def test_comment(self):
        """A key without a text is there as a comment, to be filled in."""
        parts = [
            configuration.Part("Server", "Who.", {"nickname": "a", "contact": None}),
            configuration.Part("Incoming", "Where.", {"addresses": ["8.8.8.8:1", "9.9.9.9:1"]}),
        ]
        lines = configuration.compose(parts, Path("/x/y.conf")).splitlines()
        self.assertIn("#contact =", lines)
        self.assertIn("addresses = 8.8.8.8:1, 9.9.9.9:1", lines)
        self.assertRaises(errors.UserError, configuration.compose, parts[:1], Path("/x/y.conf"))
