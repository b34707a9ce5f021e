"""Every command has its manual page."""

from __future__ import annotations

import click

from mixminion.cli.main import COMMANDS, mixminion
from mixminion.cli.manual import page, reference
from mixminion.cli.tree import commands
from mixminion.testing.cases import SyncTestCase
from tests.source import ROOT

MAN = ROOT / "doc" / "man"


class ManualTests(SyncTestCase):
    def test_pages(self) -> None:
        """A page of its own for each command of the first level, generated from what it says; the
        sources have no page of a command that is none."""
        expected = {f"mixminion-{name}.rst" for name in (*COMMANDS, "sendmail")}
        found = {path.name for path in MAN.glob("mixminion-*.rst")}
        self.assertEqual(found, expected)
        for name in expected:
            text = (MAN / name).read_text("utf-8")
            word = name.removeprefix("mixminion-").removesuffix(".rst")
            self.assertIn(f".. command-page:: {word}\n", text)

    def test_everything_is_said(self) -> None:
        """The text has every command, every option and every argument, and no markup of its own."""
        for words, command in commands(mixminion):
            if len(words) != 2:
                continue
            text = reference(command, words)
            self.assertLess(len(page(command, words)), len(text))
            for under, each in commands(command, words):
                self.assertIn(" ".join(under), text)
                for parameter in each.params:
                    for option in (*parameter.opts, *parameter.secondary_opts):
                        if option.startswith("-"):
                            self.assertIn(option, text)

    def test_markup(self) -> None:
        """Stars and such are characters; backquotes are code."""
        text = page(commands_named("send"), ("mixminion", "send"))
        self.assertIn(r"\*N for N of them", text)
        self.assertIn("``mixminion queue flush``", text)


def commands_named(name: str) -> click.Command:
    """One command of the first level."""
    return next(each for words, each in commands(mixminion) if words == ("mixminion", name))
