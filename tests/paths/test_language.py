"""The path language."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.errors import render
from mixminion.paths.errors import BadPath
from mixminion.paths.language import Around, Element, Named, PathSpec, Some, ending_at, parse
from mixminion.testing.cases import SyncTestCase


class ParseTests(SyncTestCase):
    """Text to elements."""

    def test_cases(self):
        """Every element, alone and in lists, with blanks and without."""
        cases: dict[str, tuple[Element, ...]] = {
            "alice": (Named("alice"),),
            "?": (Some(1),),
            "*3": (Some(3),),
            "~2": (Around(2),),
            "alice,?,*2,~1": (Named("alice"), Some(1), Some(2), Around(1)),
            "  alice ,\t? , *2 ": (Named("alice"), Some(1), Some(2)),
            "A-b_9,b": (Named("A-b_9"), Named("b")),
            "*255": (Some(255),),
            "*007": (Some(7),),
        }
        for text, elements in cases.items():
            with self.subTest(text):
                self.assertEqual(parse(text), PathSpec(elements))

    def test_errors(self):
        """Where it is wrong, counted from 1, and what was expected there."""
        for text, position, expected in (
            ("", 1, "a server's name"),
            ("   ", 4, "a server's name"),
            (",", 1, "a server's name"),
            ("alice,", 7, "a server's name"),
            ("alice,,bob", 7, "a server's name"),
            ("alice bob", 7, "a comma"),
            ("alice:bob", 6, "a comma"),
            ("alice,!", 7, "a server's name"),
            ("9alice", 1, "a server's name"),
            ("a" * 21, 21, "a comma"),
            ("*", 2, "a number from 1 to 255"),
            ("*x", 2, "a number from 1 to 255"),
            ("*0", 2, "a number from 1 to 255"),
            ("*256", 2, "a number from 1 to 255"),
            ("*1000", 2, "a number from 1 to 255"),
            ("*-1", 2, "a number from 1 to 255"),
            ("?,~", 4, "a number from 1 to 255"),
            ("??", 2, "a comma"),
            ("*2*2", 3, "a comma"),
            ("*\u0663", 2, "a number from 1 to 255"),
            ("\u00e4", 1, "a server's name"),
            ("alice\nbob", 6, "a comma"),
        ):
            with self.subTest(text):
                error = self.assertRaises(BadPath, parse, text)
                self.assertEqual(error.fields["position"], position)
                self.assertIn(f"at character {position}: expected {expected}", render(error))

    @settings(max_examples=200, deadline=None)
    @given(st.text("ab,?*~0123 :\t-_é\n", max_size=12) | st.text(max_size=8))
    def test_any_text(self, text):
        """Any text is a path or a BadPath inside the text, or just behind it."""
        try:
            spec = parse(text)
        except BadPath as error:
            self.assertTrue(1 <= error.fields["position"] <= len(text) + 1)
            render(error)
        else:
            self.assertTrue(spec.elements)


class EndingTests(SyncTestCase):
    """A path whose last hop an address names."""

    def test_cases(self):
        """It is added last, once; without a path the network's length is kept."""
        for text, usual, expected in (
            ("", 4, "*3,mix"),
            ("", 1, "mix"),
            ("*3", 4, "*3,mix"),
            ("a,?,mix", 4, "a,?,mix"),
            ("a,?, MIX", 4, "a,?, MIX"),
            ("mix,?", 4, "mix,?,mix"),
            ("~4", 4, "~4,mix"),
        ):
            self.assertEqual(ending_at(text, "mix", usual), expected)
            parse(expected)
        self.assertRaises(BadPath, ending_at, "*,", "mix", 4)
