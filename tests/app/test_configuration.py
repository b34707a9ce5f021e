"""A server's configuration, and what the guide for operators says of it."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import mixminion
from mixminion import errors
from mixminion.app import configuration
from mixminion.config import ConfigErrors, dump
from mixminion.config.schema import info
from mixminion.exits import registry
from mixminion.exits.section import ExitSection, FragmentsSection
from mixminion.mix.config import SECTIONS, DirectorySection, IncomingSection, ServerSection
from mixminion.testing.cases import SyncTestCase

ROOT = Path(mixminion.__file__).parent.parent
DOC = ROOT / "doc"
SAMPLE = ROOT / "contrib" / "initd" / "mixminiond.conf"


class ReferenceTests(SyncTestCase):
    def test_every_key(self):
        """Every key of every section and of every installed exit is in the reference; one that a
        section has from another stands there once."""
        text = configuration.reference()
        for section in (*SECTIONS, FragmentsSection):
            for key in info(section).options:
                self.assertIn(f"``{key}``", text)
        for module in registry.discover().values():
            for key in info(module.section).options:
                self.assertIn(f"``{key}``\n", text)
        for exit_key in ("relay", "domain", "users", "retry-first", "allow-from", "message-limit"):
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
        for section in {*SECTIONS, FragmentsSection} - {DirectorySection}:
            self.assertEqual(written[section], shown[section])
        self.assertEqual(list(shown.named(ExitSection)), ["smtp", "mailbox", "drop"])

    def test_exit_codes(self):
        """The page of exit codes has every code there is."""
        page = (DOC / "use" / "exit-codes.rst").read_text("utf-8")
        told = {int(code) for code in re.findall(r"(?m)^(\d+) ", page)}
        codes = {value for name, value in vars(errors).items() if name.startswith("EX_")}
        self.assertEqual(told, codes | {0, 1, 130})


TEXTS: dict[str, st.SearchStrategy[str]] = {
    "contact": st.text(st.characters(codec="latin-1", exclude_categories=["C", "Z"]), min_size=1),
    "store-limit": st.integers(16 * 2**20, 2**50).map("{} B".format),
    "storage-period": st.integers(3600 * 10**6, 10**13).map(lambda n: f"{n / 10**6:f} s"),
    "passphrase": st.sampled_from(["prompt", "descriptor 3", "file a b", "file /a"]),
    "key-store-path": st.sampled_from(["k", "/run/k", "a, b", "# x"]),
    "workers": st.integers(1, 64).map(str),
}
EXITS: dict[str, st.SearchStrategy[str]] = {
    "retry-first": st.integers(1000, 10**7).map("{} ms".format),
    "expiry": st.integers(1, 50).map("{} days".format),
    "from": st.sampled_from(
        ["a@x.example", '"A. Non" <a@x.example>', "Ä <a@x.example>", "(c) A <a@X.example>"]
    ),
    "relay": st.sampled_from(["[::1]:25", "Mail.example:25"]),
}


@st.composite
def server_configurations(draw: st.DrawFn) -> str:
    """A server's configuration with an exit, some keys of both said."""
    lines = ["[Server]", "nickname = a", "[Incoming]", "addresses = 8.8.8.8:1"]
    for at, texts in ((2, TEXTS), (None, EXITS)):
        if at is None:
            lines += ["[Exit out]", "module = smtp", "domain = x.example"]
        for key in draw(st.lists(st.sampled_from(sorted(texts)), unique=True)):
            lines.insert(at or len(lines), f"{key} = {draw(texts[key])}")
    return "\n".join(lines)


class DumpTests(SyncTestCase):
    """What `dump-config` prints, with the server's own sections and a real exit's."""

    def test_again(self):
        """It is read as the same configuration, in another folder, too."""
        valid = []

        @settings(max_examples=100, deadline=None)
        @given(server_configurations())
        def check(text: str) -> None:
            try:
                config = configuration.read(text, Path("/srv/mix/mixminiond.conf"))
            except ConfigErrors:
                return
            valid.append(text)
            again = configuration.read(dump(config), Path("/tmp/other.conf"))
            for section in SECTIONS:
                self.assertEqual(again[section], config[section])
            self.assertEqual(again.named(ExitSection), config.named(ExitSection))
            self.assertEqual(again.home, config.home)

        check()
        self.assertGreater(len(valid), 30)

    def test_every_key(self):
        """Every key of every section and of the exit's module is there, once."""
        config = configuration.read(SAMPLE.read_text("utf-8"), SAMPLE)
        found = [(each.title, each.option.key) for each in config.settings()]
        self.assertEqual(len(found), len(set(found)))
        for section in (*SECTIONS, FragmentsSection):
            for key in info(section).options:
                self.assertIn((f"[{info(section).kind}]", key), found)
        for name, exit in config.named(ExitSection).items():
            for key in info(type(exit)).options:
                self.assertIn((f"[Exit {name}]", key), found)


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
