import subprocess
import sys

from mixminion.testing.cases import SyncTestCase
from tests.test_layers import CLIENT_ROOMS, FOUNDATION

ROOMS = sorted((CLIENT_ROOMS | FOUNDATION | {"disk", "net"}) - {"control"})
"""All that a client is made of; the control socket is a server's and the agent's."""
SERVERS = ["mixminion.disk.lock"]
"""What is there only for what runs all the time."""

CODE = """
import importlib, pkgutil, select, sys
for name in ("lmdb", "fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog"):
    sys.modules[name] = None
if hasattr(select, "epoll"):
    del select.epoll
import mixminion
for room in sys.argv[1].split():
    module = importlib.import_module("mixminion." + room)
    for each in pkgutil.walk_packages(getattr(module, "__path__", []), module.__name__ + "."):
        if each.name not in sys.argv[2].split():
            importlib.import_module(each.name)
from mixminion.cli.main import COMMANDS, mixminion as command
import click
def load(group, context):
    for name in group.list_commands(context):
        if name not in ("server", "authority", "agent"):
            found = group.get_command(context, name)
            if isinstance(found, click.Group):
                load(found, click.Context(found, parent=context, info_name=name))
load(command, click.Context(command, info_name="mixminion"))
print("twisted.internet.reactor" in sys.modules)
"""


class ImportTests(SyncTestCase):
    """The client runs where servers cannot."""

    def test_absent_modules(self):
        """Every module of every room that a client has, and every command of a sender, imports
        without LMDB, what only Unix has, and epoll; none of them installs a reactor."""
        done = subprocess.run(
            [sys.executable, "-c", CODE, " ".join(ROOMS), " ".join(SERVERS)],
            capture_output=True,
            text=True,
        )
        self.assertEqual((done.stdout, done.stderr), ("False\n", ""))
        self.assertLessEqual({"client", "api", "mmtp", "dirhttp", "paths", "payload"}, {*ROOMS})
