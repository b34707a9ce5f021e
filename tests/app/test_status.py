"""What a server's operator is told to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mixminion.app.status import Health, advice
from mixminion.directory.vote import Recommended
from mixminion.testing.cases import SyncTestCase

NOW = 1_800_000_000  # 2027-01-15T08:00:00Z
HOUR, DAY = 3_600, 86_400
WELL = Health(
    ready=True,
    workers=2,
    running=2,
    signing_ends=NOW + 15 * DAY,
    directory_begins=NOW - HOUR,
    directory_ends=NOW + 2 * HOUR,
    interval=HOUR,
    used=84,
    limit=100,
    map_limit=100,
)


class HealthTests(SyncTestCase):
    def told(self, **changes: Any) -> list[str]:
        return list(replace(WELL, **changes).attention(NOW))

    def test_well(self):
        """Nothing is wrong: nothing to do, up to each border."""
        self.assertEqual(self.told(), [])
        self.assertEqual(self.told(signing_ends=NOW + 14 * DAY), [])
        self.assertEqual(self.told(directory_begins=NOW, directory_ends=NOW + HOUR // 2), [])
        self.assertEqual(self.told(used=85), [])

    def test_each(self):
        """Each thing that can be wrong is one sentence, which says what to do."""
        cases: list[tuple[dict[str, Any], list[str]]] = [
            ({"ready": False}, ["not ready", "look into its log"]),
            ({"running": 1}, ["1 of 2 worker processes run", "look into the server's log"]),
            ({"signing_ends": NOW - 1}, ["ended at 2027-01-15T07:59:59Z", "server certify`"]),
            ({"signing_ends": NOW + 14 * DAY - 1}, ["ends at 2027-01-29", "server certify`"]),
            ({"directory_begins": NOW + 1}, ["only at 2027-01-15T08:00:01Z", "clock"]),
            ({"directory_ends": NOW}, ["ended at 2027-01-15T08:00:00Z", "[Directory]"]),
            ({"directory_ends": NOW + HOUR // 2 - 1}, ["ends at 2027-01-15T08:29:59Z"]),
            ({"used": 86}, ["86 % full", "store-limit"]),
            (
                {"limit": 0, "map_limit": 12 * 2**20},
                ["100 % full", "make room on its disk, which has 0.0 MiB", "allows 12."],
            ),
        ]
        for changes, parts in cases:
            (sentence,) = self.told(**changes)
            for part in parts:
                self.assertIn(part, sentence)
            self.assertTrue(sentence.endswith("."))

    def test_order(self):
        """Together, what stops the server comes before what will."""
        told = self.told(ready=False, running=0, signing_ends=0, directory_ends=NOW, used=99)
        words = [sentence.split()[1] for sentence in told]
        self.assertEqual(words, ["server", "of", "signing", "directory", "store"])


class AdviceTests(SyncTestCase):
    """Releases that the network recommends."""

    def test_recommended(self):
        """Nothing is said of a release that is, or where nobody recommends any."""
        for recommended in (
            None,
            Recommended(),
            Recommended(clients=("9",)),
            Recommended(servers=("0.1", "0.2")),
        ):
            self.assertIsNone(advice(recommended, "0.2"))

    def test_another(self):
        """One that is not among them is told what is."""
        sentence = advice(Recommended(servers=("0.3", "0.4")), "0.2")
        assert sentence is not None
        self.assertIn("This is Mixminion 0.2", sentence)
        self.assertIn("recommend 0.3, 0.4: install", sentence)
