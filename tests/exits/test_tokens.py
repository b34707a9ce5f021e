"""What stands for a recipient: one length, nothing to read, nothing to forge."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mixminion.crypto.aead import Forged
from mixminion.exits.blocking import DAY, ENTRY
from mixminion.exits.tokens import BOUNCE, LINK, LONGEST_BOUNCE, Tokens
from mixminion.mail import address
from mixminion.testing.cases import SyncTestCase

TOKENS = Tokens(bytes(range(32)))
OTHER = Tokens(bytes(32))
NOW = 1_800_000_000.0
ENTRIES = st.binary(min_size=ENTRY, max_size=ENTRY)


class LinkTests(SyncTestCase):
    @given(ENTRIES)
    def test_opens(self, entry: bytes) -> None:
        """Under its own secret; another mail has another token, the same mail the same."""
        token = TOKENS.link(entry, "<1@mix.test>")
        self.assertEqual(len(token), LINK)
        self.assertEqual(TOKENS.from_link(token), entry)
        self.assertEqual(TOKENS.link(entry, "<1@mix.test>"), token)
        self.assertNotEqual(TOKENS.link(entry, "<2@mix.test>"), token)
        self.assertRaises(Forged, OTHER.from_link, token)

    def test_forged(self) -> None:
        """With any character changed, cut, longer, or of the other kind."""
        token = TOKENS.link(bytes(ENTRY), "<1@mix.test>")
        wrong = [
            token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(LINK)
        ]
        for each in (
            *wrong,
            token[:-1],
            token + "A",
            "",
            "é" * LINK,
            TOKENS.bounce(bytes(ENTRY), NOW),
        ):
            self.assertRaises(Forged, TOKENS.from_link, each)

    @given(st.text(max_size=80))
    def test_anything(self, text: str) -> None:
        """Whatever comes is no token."""
        self.assertRaises(Forged, TOKENS.from_link, text)
        self.assertRaises(Forged, TOKENS.from_bounce, text, NOW)


class BounceTests(SyncTestCase):
    @given(ENTRIES)
    def test_opens(self, entry: bytes) -> None:
        """In any case of letters, for some days; it fits into an address."""
        token = TOKENS.bounce(entry, NOW)
        self.assertEqual(len(token), BOUNCE)
        address.parse(f"bounce+{token}@mix.example.test")
        for text in (token, token.upper()):
            self.assertEqual(TOKENS.from_bounce(text, NOW + LONGEST_BOUNCE * DAY), entry)
        for when in (NOW + (LONGEST_BOUNCE + 1) * DAY, NOW - DAY):
            self.assertRaises(Forged, TOKENS.from_bounce, token, when)

    def test_forged(self) -> None:
        """With any character changed, cut, or longer."""
        token = TOKENS.bounce(bytes(ENTRY), NOW)
        wrong = [
            token[:at] + ("b" if token[at] != "b" else "c") + token[at + 1 :]
            for at in range(BOUNCE - 1)
        ]
        for each in (*wrong, token[:-1], token + "a", ""):
            self.assertRaises(Forged, TOKENS.from_bounce, each, NOW)
