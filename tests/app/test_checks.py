"""Settings that cannot work together."""

from __future__ import annotations

from pathlib import Path

from mixminion.app import checks, configuration
from mixminion.testing.cases import SyncTestCase

CONFIGURATION = """\
[Server]
nickname = a
store-limit = 64 MiB
[Incoming]
addresses = 8.8.8.8:1
[Exit one]
module = mailbox
total-limit = {one} MiB
[Exit two]
module = mailbox
total-limit = {two} MiB
"""


def wrong(one: int, two: int) -> list[str]:
    text = CONFIGURATION.format(one=one, two=two)
    config = configuration.read(text, Path("/srv/mix/mixminiond.conf"))
    return [str(each) for each in checks.settings(config) if "authorities" not in str(each)]


class MailboxTests(SyncTestCase):
    def test_part_of_the_store(self) -> None:
        """What all mailboxes may hold leaves half of the store to packets."""
        self.assertEqual(wrong(16, 16), [])
        [problem] = wrong(16, 17)
        self.assertIn("[Exit two] total-limit", problem)
        self.assertIn("at most half of store-limit", problem)
