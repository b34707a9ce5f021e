"""The texts for people outside: shipped ones, the operator's, and what is wrong with those."""

from __future__ import annotations

from pathlib import Path

from mixminion.config import ConfigErrors
from mixminion.exits import templates
from mixminion.testing.cases import SyncTestCase

VALUES = {
    "address": "bob@x.test",
    "domain": "mix.test",
    "contact": "<me@mix.test>",
    "link": "https://mix.test/x",
}


class TemplateTests(SyncTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def write(self, name: str, text: str | bytes) -> None:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(0o600)

    def complaints(self) -> list[str]:
        with self.assertRaises(ConfigErrors) as caught:
            templates.read(self.folder)
        return [str(each) for each in caught.exception.problems]

    def test_shipped(self) -> None:
        """Every one can be filled with what is put into it, quoted where it is HTML."""
        texts = templates.read(None)
        for name, words in templates.NAMES.items():
            filled = texts.fill(name, **{word: VALUES[word] for word in words})
            self.assertNotIn("$", filled, name)
            if name.endswith(".html"):
                self.assertIn("&lt;me@mix.test&gt;", filled)

    def test_own(self) -> None:
        """The operator's in place of the shipped one, which serves for the others."""
        self.write("footer.txt", "Costs $$5: ${link}\n")
        texts = templates.read(self.folder)
        filled = texts.fill("footer.txt", **VALUES)
        self.assertEqual(filled, "Costs $5: https://mix.test/x\n")
        shipped = templates.read(None)
        for each in (texts, shipped):
            self.assertIn("<form", each.fill("opt-out.html", domain="d", contact="c"))

    def test_wrong(self) -> None:
        """All at once, with file and line: unknown words, no link, no button, no text."""
        self.write("footer.txt", "Write to $contact\nor $address or 5 $\n")
        self.write("opt-out.html", "<form>")
        self.write("busy.html", b"\xff")
        told = self.complaints()
        for name, line, part in zip(
            ("busy.html", "footer.txt", "footer.txt:2", "footer.txt:2", "opt-out.html"),
            told,
            ("UTF-8", "expected $link", "$ is nothing", "$address is nothing", "method"),
            strict=True,
        ):
            self.assertTrue(line.startswith(f"{self.folder}/{name}: "), line)
            self.assertIn(part, line)

    def test_no_folder(self) -> None:
        """A folder that is not there, a file that others could change."""
        self.write("busy.html", "x")
        (self.folder / "busy.html").chmod(0o666)
        self.assertIn("chmod go-w", self.complaints()[0])
        self.folder = self.folder / "missing"
        self.assertIn("no such folder", self.complaints()[-1])
