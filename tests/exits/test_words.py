"""Why an exit refused or failed, in a word."""

from __future__ import annotations

from typing import Any

from mixminion.exits.words import UNSPOKEN, word
from mixminion.testing.cases import SyncTestCase


class WordTests(SyncTestCase):
    def test_words(self) -> None:
        """Fixed words pass."""
        for each in ("smtp-550", "timeout", "too-large", "x"):
            self.assertEqual(word(each), each)

    def test_texts(self) -> None:
        """What may quote somebody does not, nor what could be an id in hex."""
        texts: list[Any] = ["550 <bob@example.test> unknown", "bob@x", "Bob", "", "a\n", "7f", None]
        for each in [*texts, "deadbeef" * 4]:
            self.assertEqual(word(each), UNSPOKEN)
