"""``mixminion server delete-keys`` on a real server."""

from __future__ import annotations

import json
import time

from mixminion.directory.descriptor import Descriptor
from mixminion.mix.keys import periods_in
from tests.app.kit import Home, ServerCase
from tests.app.test_wrong_inputs import run


class DeleteKeysTests(ServerCase):
    """Packet keys that somebody wants to be gone."""

    def published(self, home: Home) -> Descriptor:
        return Descriptor.verify((home.folder / "descriptor").read_bytes(), time.time())

    def test_erased(self):
        """Not while the server runs; then all are gone, and the next start makes and publishes
        others, under a later number, so that authorities take them."""
        home = self.home()
        started = self.start(home, "--nodaemon")
        self.wait(lambda: self.published(home).start > 1, "the descriptor is not remade")
        before = self.published(home)
        place = ("--home", str(home.folder))
        done = run("server", "delete-keys", *place, "--yes")
        self.assertRefused(done, 73, "in use by process")
        self.assertEqual(len(periods_in(home.keys)), 3)
        started.process.terminate()
        started.done()
        done = run("server", "delete-keys", *place)  # nobody answers
        self.assertEqual(done.code, 64)
        self.assertIn("Nothing was erased", done.err)
        self.assertEqual(len(periods_in(home.keys)), 3)
        kept = (home.keys / "identity.key").read_bytes()
        done = run("server", "delete-keys", *place, "--yes", "--json")
        self.assertEqual((done.code, json.loads(done.out)), (0, {"erased": 3}), done.err)
        self.assertEqual(periods_in(home.keys), [])
        self.assertEqual((home.keys / "identity.key").read_bytes(), kept)
        self.start(home, "--nodaemon")
        self.wait(lambda: self.published(home).start > before.start, "nothing is published")
        after = self.published(home)
        periods = [[each.period for each in said.packet_keys] for said in (before, after)]
        self.assertEqual(*periods)
        keys = {each.key for each in (*before.packet_keys, *after.packet_keys)}
        self.assertEqual(len(keys), 6)
