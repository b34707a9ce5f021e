"""The shape of a configuration file."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.config import ini
from mixminion.testing.cases import SyncTestCase


def shape(text: str):
    """Sections with their keys, and the lines that have problems."""
    blocks, problems = ini.read(text, "f")
    return (
        {
            block.title: {key: entry.text for key, entry in block.entries.items()}
            for block in blocks
        },
        [problem.position.line for problem in problems],
    )


class ReadTests(SyncTestCase):
    def test_good(self):
        """Comments, blank lines, continuations, CRLF, a BOM, values that look like syntax."""
        for text, expected in [
            ("", {}),
            ("\ufeff[A]\r\nx = 1\r\n", {"[A]": {"x": "1"}}),
            ("# c\n; c\n\n[A]\n# c\nx=1\n", {"[A]": {"x": "1"}}),
            ("[A]\nx = a = b # c ; [B]\n", {"[A]": {"x": "a = b # c ; [B]"}}),
            ("[A]\nx =\n  1,\n# c\n\t2\ny=\n", {"[A]": {"x": "1,\n2", "y": ""}}),
            ("[A]\nx=%(home)s ${y}\n", {"[A]": {"x": "%(home)s ${y}"}}),
            ("[Exit smtp]\n[ Exit  news.2 ]\n", {"[Exit smtp]": {}, "[Exit news.2]": {}}),
            ("[A]\nx=Grüße\n", {"[A]": {"x": "Grüße"}}),
        ]:
            self.assertEqual(shape(text), (expected, []), text)

    def test_bad(self):
        """Each fault is found at its own line, and reading goes on behind it."""
        for text, expected in [
            ("x = 1\n", [1]),
            ("[A]\nx\n", [2]),
            ("[A]\nX = 1\n", [2]),
            ("[A]\n= 1\n", [2]),
            ("[A]\nx: 1\n", [2]),
            ("[A]\nx=1\nx=2\n", [3]),
            ("[A]\n[B]\n[A]\n", [3]),
            ("[A b]\n[A b]\n", [2]),
            ("[A\nx=1\ny=2\n", [1]),
            ("[A b c]\n", [1]),
            ("[A] # c\n", [1]),
            ("[]\n", [1]),
            ("[A ../b]\n", [1]),
            ("  x = 1\n[A]\n", [1]),
            ("[A]\nx=1\n\n  2\n", [4]),
            ("[A]\nx=\x00\n", [2]),
            ("[A]\nx=a\u2028b\ny\n", [2, 3]),
        ]:
            self.assertEqual(shape(text)[1], expected, text)

    def test_anything(self):
        """No text whatever raises, and every problem is at a line of the text."""

        @settings(max_examples=150, deadline=None)
        @given(st.text(alphabet="[]A b=#;\n\r\t\x00é1-", max_size=60))
        def check(text: str) -> None:
            for line in shape(text)[1]:
                self.assertLessEqual(line, text.count("\n") + 1)

        check()
