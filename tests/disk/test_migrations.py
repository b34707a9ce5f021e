import sqlite3

from mixminion.disk.migrations import NewerState, apply, scripts
from mixminion.testing.cases import SyncTestCase

ONE = "-- first\nCREATE TABLE a (x);\nINSERT INTO a VALUES ('1; 2');\n"
TWO = "ALTER TABLE a ADD COLUMN y;\nUPDATE a SET y = 3 -- no semicolon at the end\n"


class ApplyTests(SyncTestCase):
    """Each script runs once, in order, whole or not at all."""

    def setUp(self):
        self.connection = sqlite3.connect(":memory:", isolation_level=None)

    def version(self):
        return self.connection.execute("PRAGMA user_version").fetchone()[0]

    def test_in_order(self):
        """From nothing, and from where an older release left off; a second time does nothing."""
        apply(self.connection, [ONE], path="x")
        apply(self.connection, [ONE, TWO], path="x")
        apply(self.connection, [ONE, TWO], path="x")
        self.assertEqual(self.connection.execute("SELECT * FROM a").fetchall(), [("1; 2", 3)])
        self.assertEqual(self.version(), 2)

    def test_whole_or_not_at_all(self):
        """A script that fails leaves nothing behind, and the ones before it in place."""
        with self.assertRaises(sqlite3.Error):
            apply(self.connection, [ONE, "CREATE TABLE b (x);\nINSERT INTO nowhere;"], path="x")
        self.assertEqual(self.version(), 1)
        tables = self.connection.execute("SELECT name FROM sqlite_master").fetchall()
        self.assertEqual(tables, [("a",)])

    def test_newer(self):
        """A file of a later release is refused."""
        apply(self.connection, [ONE, TWO], path="x")
        self.assertRaises(NewerState, apply, self.connection, [ONE], path="x")

    def test_scripts(self):
        """The client's own scripts are found and apply to an empty file."""
        apply(self.connection, scripts("mixminion.client"), path="x")
        self.assertGreaterEqual(self.version(), 1)
