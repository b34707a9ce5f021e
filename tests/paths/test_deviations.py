from mixminion.paths.deviations import of_configured
from mixminion.testing.cases import SyncTestCase


class ConfiguredTests(SyncTestCase):
    """A path that a configuration gives to all messages."""

    def test_usual(self):
        """Random, and as long as everybody's: no deviation, however it is written."""
        for path in ("*4", "?,?,?,?", "*2, ?, ?"):
            self.assertEqual(list(of_configured(path, 4)), [])

    def test_another(self):
        """Another length, one that varies, or a server's name."""
        for path in ("*5", "?,?", "~4", "alice,*3", "?,~2,?"):
            (found,) = of_configured(path, 4)
            self.assertEqual(found.code, "path-configured")
            self.assertIn(f"({path}) is not this network's usual *4", found.sentence)
