"""Every error of the room has a code of its own and a sentence."""

from __future__ import annotations

from mixminion.errors import PeerError, render
from mixminion.mmtp import errors
from mixminion.testing.cases import SyncTestCase

FIELDS = {"problem": "connection refused", "seconds": 30, "version": 3, "reason": "broken"}


class ErrorTests(SyncTestCase):
    def test_sentences(self) -> None:
        """Each renders, ends as a sentence does, and has its own code."""
        kinds = [
            kind
            for kind in vars(errors).values()
            if isinstance(kind, type)
            and issubclass(kind, PeerError)
            and kind.__module__ == errors.__name__
        ]
        self.assertEqual(len({kind.code for kind in kinds}), len(kinds))
        for kind in kinds:
            sentence = render(kind(**FIELDS))
            self.assertTrue(sentence.endswith("."), sentence)
            self.assertNotIn("{", sentence)
