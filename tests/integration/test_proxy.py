"""Directories through a real HTTP proxy, tinyproxy: plain ones and those over TLS."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from mixminion.disk import private
from mixminion.testing.authorities import LocalAuthorities
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.commands import PYTHON, answers, free_port, wait_until
from mixminion.testing.network import LocalNetwork

SECONDS = 40.0
CONFIGURATION = """\
Port {port}
Listen 127.0.0.1
Timeout 30
MaxClients 20
Allow 127.0.0.1
LogFile "{folder}/log"
LogLevel Connect
PidFile "{folder}/pid"
BasicAuth alice secret
"""


class Tinyproxy:
    """One, of its own configuration, which asks for a name and a password."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log"
        self.place = f"127.0.0.1:{free_port(['127.0.0.1'])}"
        port = self.place.rpartition(":")[2]
        (folder / "tinyproxy.conf").write_text(CONFIGURATION.format(folder=folder, port=port))
        self._process = subprocess.Popen(
            ["tinyproxy", "-d", "-c", folder / "tinyproxy.conf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: answers(self.place), SECONDS, "tinyproxy does not answer")

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def requests(self, method: str) -> list[str]:
        """What was asked of it by that method."""
        found = re.findall(rf"Request \(file descriptor \d+\): {method} (\S+)", self.log())
        return list(found)

    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text() if self._log.exists() else ""


class ProxyTests(SyncTestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "proxy").mkdir()
        self.proxy = Tinyproxy(self.folder / "proxy")
        self.addCleanup(self.proxy.stop)

    def client(self, directory: str) -> None:
        """A new client, with these lines under [Directory]."""
        home = self.folder / "client"
        shutil.rmtree(home, ignore_errors=True)
        private.make_folder(home)
        private.write(home / "mixminion.conf", f"[Client]\n[Directory]\n{directory}".encode())

    def update(self, **environment: str) -> tuple[int, str]:
        """``mixminion update``: exit code, and what it said."""
        config = str(self.folder / "client" / "mixminion.conf")
        done = subprocess.run(
            [*PYTHON, "-m", "mixminion", "--config", config, "update"],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr

    def test_over_tls(self):
        """Mix servers, which serve on their one port by ALPN: through CONNECT."""
        network = LocalNetwork(self.folder / "network", mixes=4)
        network.make()
        self.addCleanup(network.stop)
        network.start_mixes()
        lines = network.client_config.read_text().partition("[Directory]\n")[2]
        self.client(lines + f"proxy = http://alice:secret@{self.proxy.place}/\n")
        code, said = self.update()
        self.assertEqual(code, 0, said)
        asked = self.proxy.requests("CONNECT")
        self.assertGreaterEqual(len(asked), 1)
        self.assertLessEqual(set(asked), {mix.address for mix in network.mixes})

        self.client(lines + f"proxy = http://alice:wrong@{self.proxy.place}/\n")
        code, said = self.update()
        self.assertNotEqual(code, 0)
        self.assertRegex(said, "the proxy answered 40[17]")  # this one says 401
        self.assertNotIn("wrong", said)

        self.client(lines + f"proxy = http://alice:secret@{self.proxy.place}/\n")
        self.proxy.stop()
        code, said = self.update()  # nothing goes round a proxy that is away
        self.assertNotEqual(code, 0)
        self.assertFalse((self.folder / "client" / "state" / "directory" / "consensus").exists())

    def test_plain(self):
        """Authorities, over plain HTTP, by what the environment says."""
        authorities = LocalAuthorities(self.folder / "authorities", count=1)
        authorities.make()
        self.addCleanup(authorities.stop)
        authorities.start()
        (authority,) = authorities.all
        wait_until(lambda: authority.get("consensus"), SECONDS, "there is no consensus")
        self.client("authorities = " + ", ".join(authorities.lines()) + "\n")
        code, said = self.update(http_proxy=f"http://alice:secret@{self.proxy.place}/")
        self.assertEqual(code, 0, said)
        asked = self.proxy.requests("GET")
        self.assertIn(f"{authority.url}mixminion/2/consensus", asked)

        before = len(asked)
        code, said = self.update(
            http_proxy=f"http://alice:secret@{self.proxy.place}/", no_proxy=authority.host
        )
        self.assertEqual(code, 0, said)
        self.assertEqual(len(self.proxy.requests("GET")), before)
