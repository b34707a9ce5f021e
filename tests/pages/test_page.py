"""What counts as an example, and when its output is what the page shows."""

from __future__ import annotations

from mixminion.testing.cases import SyncTestCase
from tests.pages.page import agrees, examples

PAGE = """\
A page
======

Text with $ a sign. ::

    $ first --option
    one line

    two lines
    alice$ second <<END
    > text
    > END

.. before
   echo quiet
   bob$ echo quiet too

More. ::

    no example

.. later

And this::

    bob$ third
    ...
    end
"""


class PageTests(SyncTestCase):
    def test_examples(self) -> None:
        """Commands, by whom, with what they show; what is before; what takes a while."""
        found = [
            (each.who, each.command, each.shown, each.later, each.silent) for each in examples(PAGE)
        ]
        self.assertEqual(
            found,
            [
                ("", "first --option", ["one line", "", "two lines"], False, False),
                ("alice", "second <<END\ntext\nEND", [], False, False),
                ("", "echo quiet", [], False, True),
                ("bob", "echo quiet too", [], False, True),
                ("bob", "third", ["...", "end"], True, False),
            ],
        )

    def test_agreement(self) -> None:
        """Times, keys, servers and numbers may differ, words may not."""
        shown = ["handed to mix3, 2026-01-02T03:04:05Z", "12 packets", "..."]
        self.assertTrue(agrees(shown, "handed to mix5, 2027-11-12T13:14:15Z\n1 packets\nmore\n"))
        self.assertTrue(agrees(shown, "handed to mix5, 2027-11-12T13:14:15Z\n1,024 packets\n"))
        self.assertFalse(agrees(shown, "handed to mix5, 2027-11-12T13:14:15Z\nmore\n"))
        self.assertFalse(agrees(shown, "given to mix5, 2027-11-12T13:14:15Z\n1 packets\n"))
        self.assertTrue(agrees([f"box:{'a' * 43}@mix1"], f"box:-{'b' * 41}-@mix2"))
        self.assertFalse(agrees([], "anything"))
        self.assertTrue(agrees(["a ... c"], "a b c"))
        self.assertFalse(agrees(["a"], "a\nb"))
