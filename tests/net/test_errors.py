"""Every error of the room has a code of its own and a sentence."""

from __future__ import annotations

from mixminion.errors import MixminionError, render
from mixminion.net import errors
from mixminion.testing.cases import SyncTestCase

FIELDS = {
    "ended": "2027-01-15T08:00:00Z",
    "begins": "2027-01-15T08:00:00Z",
    "minutes": 20,
    "alert": "unexpected message",
    "seconds": 20,
    "limit": "total",
    "address": "127.0.0.1:48099",
    "problem": "permission denied",
}


class ErrorTests(SyncTestCase):
    def test_sentences(self) -> None:
        """Each renders, ends as a sentence does, and has its own code."""
        kinds = [
            kind
            for kind in vars(errors).values()
            if isinstance(kind, type)
            and issubclass(kind, MixminionError)
            and kind.__module__ == errors.__name__
        ]
        self.assertEqual(len({kind.code for kind in kinds}), len(kinds))
        for kind in kinds:
            sentence = render(kind(**FIELDS))
            self.assertTrue(sentence.endswith("."), sentence)
            self.assertNotIn("{", sentence)
