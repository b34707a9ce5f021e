"""The path language."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.errors import render
from mixminion.paths.errors import BadPath
from mixminion.paths.language import (
    Around,
    Element,
    File,
    Named,
    OneOf,
    PathSpec,
    Some,
    closing_at,
    ending_at,
    parse,
)
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
            "a|b": (OneOf((Named("a"), Named("b"))),),
            "a | b\t|c , ?": (OneOf((Named("a"), Named("b"), Named("c"))), Some(1)),
            "./a,/b/c.d,e/f": (File("./a"), File("/b/c.d"), File("e/f")),
            "'a, b|c',\"it's\"": (File("a, b|c"), File("it's")),
            "a|./b,~3": (OneOf((Named("a"), File("./b"))), Around(3)),
            "2/x": (File("2/x"),),
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
            ("a|", 3, "a server's name"),
            ("a||b", 3, "a server's name"),
            ("a|?", 3, "a server's name"),
            ("|a", 1, "a server's name"),
            ("?|a", 2, "a comma"),
            ("a|b|a", 5, "a server that is not in this choice yet"),
            ("'a", 1, "a server's name"),
            ("''", 1, "a server's name"),
            ("./a b", 5, "a comma"),
        ):
            with self.subTest(text):
                error = self.assertRaises(BadPath, parse, text)
                self.assertEqual(error.fields["position"], position)
                self.assertIn(f"at character {position}: expected {expected}", render(error))

    @settings(max_examples=200, deadline=None)
    @given(st.text("ab,?*~0123|/'\" :\t-_é\n", max_size=12) | st.text(max_size=8))
    def test_any_text(self, text):
        """Any text is a path or a BadPath inside the text, or just behind it."""
        try:
            spec = parse(text)
        except BadPath as error:
            self.assertTrue(1 <= error.fields["position"] <= len(text) + 1)
            render(error)
        else:
            self.assertTrue(spec.elements)
            self.assertEqual(parse(str(spec)), spec)

    def test_files(self):
        """Files, wherever they stand, and the path with names in their place."""
        spec = parse("./a,b|./c|'d e',*2")
        self.assertEqual([file.name for file in spec.files], ["./a", "./c", "d e"])
        names = {"./a": "one", "./c": "b", "d e": "three"}
        named = spec.without_files(lambda file: names[file.name])
        self.assertEqual(str(named), "one,b|three,*2")


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
            ("*2,a|mix|b", 4, "*2,mix"),
            ("*2,a|b", 4, "*2,a|b,mix"),
        ):
            self.assertEqual(ending_at(text, "mix", usual), expected)
            parse(expected)

    def test_closing(self):
        """It takes the last hop's place."""
        for text, expected in (
            ("*4", "*3,mix"),
            ("a,?", "a,mix"),
            ("a,b", "a,mix"),
            ("a,b|c", "a,mix"),
            ("~4", "~3,mix"),
            ("a,~1", "a,~1,mix"),
            ("*1", "mix"),
        ):
            self.assertEqual(str(closing_at(parse(text), "mix")), expected)
        self.assertRaises(BadPath, ending_at, "*,", "mix", 4)
