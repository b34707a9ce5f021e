"""Lists of servers, and what they say of one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mixminion.paths.preferences import Kind, List, Lists, Term
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort
from tests.directory.network import server, view


def terms(*texts: str) -> tuple[Term, ...]:
    return tuple(map(Term.parse, texts))


class TermTests(SyncTestCase):
    """What stands in a list."""

    def test_kinds(self) -> None:
        """Each kind as it is written and written again."""
        for text, kind, again in (
            ("Alice", Kind.NAME, "alice"),
            ("family:Wonder", Kind.FAMILY, "family:wonder"),
            ("country:DE", Kind.COUNTRY, "country:de"),
            ("192.0.2.0/24", Kind.NETWORK, "192.0.2.0/24"),
            ("192.0.2.7", Kind.NETWORK, "192.0.2.7/32"),
            ("2001:db8::/32", Kind.NETWORK, "2001:db8::/32"),
        ):
            with self.subTest(text):
                term = Term.parse(text)
                self.assertEqual((term.kind, str(term)), (kind, again))
                self.assertEqual(Term.parse(again), term)

    def test_wrong(self) -> None:
        """Everything else is refused."""
        for text in ("", "9alice", "family:", "country:germany", "town:x", "192.0.2.1/24", "a b"):
            self.assertRaises(ValueError, Term.parse, text)

    @given(st.text(max_size=20))
    def test_any_text(self, text: str) -> None:
        """Any text is a term that reads as it is written, or a ValueError."""
        try:
            term = Term.parse(text)
        except ValueError:
            return
        self.assertEqual(Term.parse(str(term)), term)

    def test_covers(self) -> None:
        """By name, family and country in any case of letters; by network if an address is in it."""
        one = server(
            "Alice",
            addresses=(HostPort("192.0.2.7", 1), HostPort("2001:db8::7", 1)),
            family="Wonder",
            jurisdiction="de",
        )
        for text in ("alice", "family:wonder", "country:de", "192.0.2.0/24", "2001:db8::/32"):
            self.assertTrue(Term.parse(text).covers(one), text)
        for text in ("bob", "family:alice", "country:fr", "192.0.3.0/24", "2001:db9::/32"):
            self.assertFalse(Term.parse(text).covers(one), text)
        plain = server("plain")
        for text in ("family:x", "country:xx"):
            self.assertFalse(Term.parse(text).covers(plain))


class ListTests(SyncTestCase):
    """Several of them."""

    def test_takes(self) -> None:
        """Those of allow that deny leaves over; everybody where allow is empty."""
        alice, bob, carol = (server(name) for name in ("alice", "bob", "carol"))
        for found, expected in (
            (List(), [True, True, True]),
            (List(deny=terms("bob")), [True, False, True]),
            (List(allow=terms("alice", "bob")), [True, True, False]),
            (List(terms("alice", "bob"), terms("bob", "carol")), [True, False, False]),
        ):
            self.assertEqual([found.takes(each) for each in (alice, bob, carol)], expected)
            self.assertEqual(bool(found), found != List())

    def test_ends(self) -> None:
        """The lists of the ends add to the one for every hop."""
        lists = Lists(List(deny=terms("bob")), List(deny=terms("alice")), List(terms("carol")))
        alice, bob, carol = (server(name) for name in ("alice", "bob", "carol"))
        self.assertEqual([lists.as_entry(s) for s in (alice, bob, carol)], [False, False, True])
        self.assertEqual([lists.as_exit(s) for s in (alice, bob, carol)], [False, False, True])
        self.assertEqual([lists.hop.takes(s) for s in (alice, bob, carol)], [True, False, True])
        self.assertTrue(lists)
        self.assertFalse(Lists())

    def test_unknown(self) -> None:
        """Names that nobody has; families and networks may be empty."""
        lists = Lists(
            List(deny=terms("alice", "nobody", "family:none", "192.0.2.0/24")),
            exit=List(allow=terms("noone")),
        )
        found = map(str, lists.unknown(view([server("Alice")])))
        self.assertEqual(list(found), ["nobody", "noone"])
