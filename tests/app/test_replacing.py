"""Packet keys of a stopped server that are erased before their time."""

from __future__ import annotations

import time

from msgspec.structs import replace

from mixminion.app import configuration, directories, replacing
from mixminion.app.replacing import Replaced
from mixminion.directory.parameters import Parameters
from mixminion.disk.errors import HomeInUse
from mixminion.disk.lock import HomeLock
from mixminion.mix.keys import periods_in
from mixminion.testing.directory import sign_directory
from tests.app.kit import DIRECTORY, Home, ServerCase

HOUR, DAY = 3_600, 86_400
USED = HOUR + 3 * HOUR + DAY
"""Seconds for which a key that is replaced may still be used."""


def sign(home: Home) -> None:
    """A directory for the server in *home* that is signed again each hour."""
    sign_directory(
        [(home.folder / "descriptor").read_bytes()],
        DIRECTORY.secrets,
        now=time.time(),
        parameters=replace(
            Parameters.local_demo(),
            consensus_interval=HOUR,
            consensus_fresh=HOUR,
            consensus_valid=3 * HOUR,
        ),
    ).write(home.folder / "directory")


class ReplacingTests(ServerCase):
    """See :mod:`mixminion.app.replacing`; the server has keys for three weeks."""

    def setUp(self) -> None:
        super().setUp()
        self.place = self.home()
        sign(self.place)
        self.config = configuration.load(self.place.config)
        self.periods = periods_in(self.place.keys)
        view = directories.held(self.config, time.time())
        self.begins = [each.begins for each in view.consensus.key_periods]
        self.assertEqual(self.periods, list(view.periods))

    def test_rotate(self) -> None:
        """A key is replaced as long as all that have it go before its period begins."""
        last, length = self.begins[2], self.begins[2] - self.begins[1]
        found = replacing.rotate(self.config, last - USED)
        self.assertEqual(found, Replaced(0, last + length, last + length - USED))
        self.assertEqual(periods_in(self.place.keys), self.periods)
        found = replacing.rotate(self.config, last - USED - 1)
        self.assertEqual(found, Replaced(1, last, last - USED))
        self.assertEqual(periods_in(self.place.keys), self.periods[:2])

    def test_current(self) -> None:
        """The keys of now stay, and those of the next period if it begins soon."""
        now = time.time()
        found = replacing.rotate(self.config, now)
        soon = self.begins[1] - now <= USED
        self.assertEqual(found.begins, self.begins[2 if soon else 1])
        self.assertEqual(periods_in(self.place.keys), self.periods[: 2 if soon else 1])

    def test_delete(self) -> None:
        """All are gone."""
        self.assertEqual(replacing.delete(self.config), 3)
        self.assertEqual(periods_in(self.place.keys), [])

    def test_in_use(self) -> None:
        """A home that somebody holds is left alone."""
        lock = HomeLock(self.config.home)
        lock.acquire()
        self.addCleanup(lock.release)
        self.assertRaises(HomeInUse, replacing.delete, self.config)
        self.assertRaises(HomeInUse, replacing.rotate, self.config, time.time())
        self.assertEqual(periods_in(self.place.keys), self.periods)

    def test_no_directory(self) -> None:
        """Nobody knows what the periods are: nothing is erased."""
        (self.place.folder / "directory" / "consensus").unlink()
        self.assertRaises(
            directories.NoDocuments, replacing.rotate, self.config, self.begins[2] - USED - 1
        )
        self.assertEqual(periods_in(self.place.keys), self.periods)
