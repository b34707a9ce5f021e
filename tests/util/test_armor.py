"""Armor: what goes in comes out, however mail bent the text in between."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.testing.cases import SyncTestCase
from mixminion.util import armor


class ArmorTests(SyncTestCase):
    @settings(max_examples=60, deadline=None)
    @given(
        st.binary(max_size=500), st.dictionaries(st.sampled_from(["A", "SURB-ID"]), st.just("v"))
    )
    def test_round_trip(self, octets: bytes, headers: dict[str, str]) -> None:
        """Octets, kind and headers survive, whatever they are."""
        [block] = armor.decode(armor.encode("MIXMINION REPLY", headers, octets))
        self.assertEqual(block, armor.Armored("MIXMINION REPLY", headers, octets))

    def test_survives_mail(self) -> None:
        """CRLF, blanks at line ends and text round two blocks change nothing."""
        one = armor.encode("MIXMINION REPLY", {"SURB-ID": "00" * 16}, b"one" * 50)
        two = armor.encode("MIXMINION REPLY BLOCK", {}, b"")
        bent = f"Dear\n{one}\nor\n{two}\nbye".replace("\n", "  \r\n")
        self.assertEqual([b.octets for b in armor.decode(bent)], [b"one" * 50, b""])

    def test_one_form(self) -> None:
        """The exact text, so that other programs can read it."""
        self.assertEqual(
            armor.encode("MIXMINION REPLY", {"SURB-ID": "0a"}, b"\0" * 49).splitlines(),
            [
                "-----BEGIN MIXMINION REPLY-----",
                "SURB-ID: 0a",
                "",
                "A" * 64,
                "AA==",
                "-----END MIXMINION REPLY-----",
            ],
        )

    def test_damage_is_told(self) -> None:
        """A missing end, broken base64, a broken header and a missing empty line are refused."""
        good = armor.encode("X", {"A": "b"}, b"abcdef" * 20)
        for damaged in (
            good.replace("-----END X-----", ""),
            good.replace("YWJj", "YW*j", 1),
            good.replace("A: b", "A b"),
            good.replace("A: b", "A: b\nA: c"),
            "-----BEGIN X-----\nYWJj\n-----END X-----\n",
        ):
            with self.assertRaises(armor.BadArmor):
                armor.decode(damaged)

    def test_no_block(self) -> None:
        """A text without armor has no blocks."""
        self.assertEqual(armor.decode("hello\n"), [])

    def test_writer_refuses_injection(self) -> None:
        """A header value with a line end never makes another line."""
        for kind, headers in (("x", {}), ("X", {"A": "b\nC: d"}), ("X", {"A:": "b"})):
            with self.assertRaises(ValueError):
                armor.encode(kind, headers, b"")
