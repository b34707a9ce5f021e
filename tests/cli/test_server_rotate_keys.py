"""``mixminion server rotate-keys`` on a real server."""

from __future__ import annotations

import json
import time

from mixminion.directory.descriptor import Descriptor
from tests.app.kit import Home, ServerCase
from tests.app.test_replacing import sign
from tests.app.test_wrong_inputs import run


class RotateKeysTests(ServerCase):
    """Keys that are published and not used yet."""

    def published(self, home: Home) -> Descriptor:
        return Descriptor.verify((home.folder / "descriptor").read_bytes(), time.time())

    def test_rotated(self):
        """Not while the server runs; the next start publishes other keys of the periods ahead, and
        the one of now as it was, under a later number."""
        home = self.home()
        sign(home)
        started = self.start(home, "--nodaemon")
        self.wait(lambda: self.published(home).start > 1, "the descriptor is not remade")
        before = self.published(home)
        place = ("--home", str(home.folder))
        self.assertRefused(run("server", "rotate-keys", *place), 73, "in use by process")
        started.process.terminate()
        started.done()
        done = run("server", "rotate-keys", *place, "--json")
        told = json.loads(done.out)
        self.assertIn(told["erased"], (1, 2))  # a period that begins soon keeps its key
        self.assertTrue(told["start-before"] < told["from"])
        done = run("server", "rotate-keys", *place)
        self.assertEqual(done.code, 0, done.err)
        self.assertIn(f"no keys yet of the period that begins at {told['from']}", done.out)
        self.start(home, "--nodaemon")
        self.wait(lambda: self.published(home).start > before.start, "nothing is published")
        after = self.published(home)
        self.assertEqual(
            [old.period for old in before.packet_keys], [new.period for new in after.packet_keys]
        )
        pairs = zip(before.packet_keys, after.packet_keys, strict=True)
        changed = [old.key != new.key for old, new in pairs]
        self.assertEqual(changed, [False] * (3 - told["erased"]) + [True] * told["erased"])
