"""Every error of the project: codes for programs, sentences for people, exit codes for both."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import mixminion
from mixminion.errors import MixminionError, render
from mixminion.testing.cases import SyncTestCase

EXIT_CODES = Path(__file__).parent.parent / "doc" / "use" / "exit-codes.rst"


class Value(str):
    """A field's value that takes any format, such as ``{seconds:g}``."""

    def __format__(self, form: str) -> str:
        return str(self)


def tree(root: type[MixminionError]) -> Iterator[type[MixminionError]]:
    for error in root.__subclasses__():
        yield error
        yield from tree(error)


def all_errors() -> list[type[MixminionError]]:
    """The root and all classes under it, in whatever module of the project."""
    for module in pkgutil.walk_packages(mixminion.__path__, "mixminion."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = dict.fromkeys(tree(MixminionError))  # an error with two bases is one
    return [MixminionError, *(e for e in found if e.__module__.startswith("mixminion."))]


class ErrorTests(SyncTestCase):
    def setUp(self) -> None:
        self.errors = all_errors()

    def test_codes(self) -> None:
        """A program can tell errors by their codes: each has its own, in kebab case; only what is
        a base and no more goes without."""
        counted = Counter(
            error.code
            for error in self.errors
            if "code" in vars(error) or not error.__subclasses__()
        )
        self.assertEqual([code for code, count in counted.items() if count > 1], [])
        for code in counted:
            self.assertRegex(code, r"\A[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")

    def test_sentences(self) -> None:
        """People read whole sentences, from a capital to a full stop, or a field at either end."""
        for error in self.errors:
            self.assertRegex(error.sentence, r"(?s)\A[A-Z{].*[.}]\Z", error)

    def test_fields(self) -> None:
        """A sentence has only fields that can be filled in: no attribute, no index, no position."""
        for error in self.errors:
            fields = {
                name for _, name, _, _ in Formatter().parse(error.sentence) if name is not None
            }
            for field in fields:
                self.assertRegex(field, r"\A[a-z_]+\Z", error)
            instance = error.__new__(error)
            MixminionError.__init__(instance, **{field: Value(f"<{field}>") for field in fields})
            said = render(instance)
            for field in fields - {"code"}:
                self.assertIn(f"<{field}>", said, error)

    def test_exit_codes(self) -> None:
        """A command ends with an exit code that the table for users has."""
        documented = set(map(int, re.findall(r"(?m)^(\d+) ", EXIT_CODES.read_text("utf-8"))))
        self.assertGreater(len(documented), 5)
        for error in self.errors:
            self.assertIn(error.exit_code, documented, error)
            self.assertGreater(error.exit_code, 1, error)
