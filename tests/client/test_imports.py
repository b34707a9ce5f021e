import subprocess
import sys

from mixminion.testing.cases import SyncTestCase

CODE = """
import importlib, pkgutil, sys
for name in ("lmdb", "fcntl", "pwd", "grp", "resource"):
    sys.modules[name] = None
import mixminion.api, mixminion.client
for module in pkgutil.iter_modules(mixminion.client.__path__, "mixminion.client."):
    importlib.import_module(module.name)
for command in ("send", "queue", "update", "list_servers", "entries", "import_server", "ping"):
    importlib.import_module("mixminion.cli." + command)
print("twisted.internet.reactor" in sys.modules)
"""


class ImportTests(SyncTestCase):
    """The client runs where servers cannot."""

    def test_absent_modules(self):
        """Every module of the client imports without LMDB and what only Unix has; none of them
        installs a reactor."""
        done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
        self.assertEqual((done.stdout, done.stderr), ("False\n", ""))
