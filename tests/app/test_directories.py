"""A server and its network's directory: real processes, and an authority of the test's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mixminion.control.client import ask
from mixminion.directory.bootstrap import Authority, Bootstrap
from mixminion.directory.descriptor import Descriptor
from mixminion.directory.receipt import State
from mixminion.disk import lock
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.commands import free_port, wait_until
from tests.app.authority import PARAMETERS, LocalAuthority
from tests.app.kit import attention

SECONDS = 60.0


class NewNetworkCase(SyncTestCase):
    """One authority, and a server that was made and never started."""

    def setUp(self) -> None:
        self.authority = LocalAuthority()
        self.addCleanup(self.authority.close)
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.home = self.folder / "home"
        self.addCleanup(self.end)
        self.made = self.init("--authority", self.authority.entry)

    def init(self, *options: str) -> subprocess.CompletedProcess[str]:
        address = f"127.1.0.1:{free_port(['127.1.0.1'])}"
        words = ["--nickname", "mix1", "--address", address, "--listen", address]
        done = self.server("init", *words, "--test-network", "--store-limit", "64 MiB", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def server(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``mixminion server ...``; what it says goes through files: a daemon would keep a pipe."""
        words = [sys.executable, "-m", "mixminion", "server", command, "--home", str(self.home)]
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run([*words, *arguments], stdout=out, stderr=err, timeout=SECONDS)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(words, done.returncode, out.read(), err.read())

    def end(self) -> None:
        if self.home.exists() and lock.holder(self.home) is not None:
            self.assertEqual(self.server("stop").returncode, 0)

    def status(self) -> dict[str, Any]:
        return ask(self.home / "control", "status")

    def wait(self, true: Callable[[], object], complaint: str) -> None:
        wait_until(true, SECONDS, complaint)


class NewNetworkTests(NewNetworkCase):
    """From nothing to a server that is listed."""

    def test_listed(self) -> None:
        """The authority has no directory; then one without servers; the server publishes itself,
        waits for approval, is listed, and knows it."""
        self.assertIn("publishes itself to the authorities", self.made.stdout)
        early = self.server("start", "--timeout", "0.5")
        self.assertEqual(early.returncode, 69, early.stderr)
        self.assertIn("Trying again, for 0.5 s at most", early.stderr)
        self.assertIn("No directory could be had in 0.5 s", early.stderr)
        self.assertIn("it answered 404", early.stderr)
        self.assertIsNone(lock.holder(self.home))

        self.authority.sign([])
        started = self.server("start")
        self.assertEqual(started.returncode, 0, started.stderr)
        self.assertIn("Fetched a directory; it lists 0 servers.", started.stdout)
        self.assertIn("The server runs", started.stdout)
        self.wait(lambda: self.authority.uploads, "it does not publish itself")
        self.wait(lambda: self.status()["authorities"][0]["current"], "no receipt")
        status = self.status()
        self.assertEqual(
            attention(status),
            [
                "Waiting for approval at 1 of 1 authority: It waits for the approval of this"
                " authority's operator: tell him of it."
            ],
        )
        self.assertEqual(status["directory"]["servers"], 0)
        self.assertFalse(status["directory"]["lists-this-server"])
        said = Descriptor.verify(self.authority.uploads[-1], time.time())
        current = int(time.time() // PARAMETERS.key_period)
        self.assertIn(current, [key.period for key in said.packet_keys])
        first = self.server("status").stdout.splitlines()
        self.assertTrue(any("Waiting for approval at 1 of 1" in line for line in first[:2]), first)
        self.assertTrue(any(line.startswith("  north: waiting, heard ") for line in first), first)

        self.authority.state = State.LISTED
        self.authority.sign([self.authority.uploads[-1]])
        self.wait(
            lambda: self.status()["directory"]["lists-this-server"], "it does not learn of it"
        )
        self.wait(lambda: not attention(self.status()), "it does not ask where it stands")

        self.authority.wrong = -400
        published = self.server("publish")
        self.assertEqual(published.returncode, 0, published.stderr)
        count = len(self.authority.uploads)
        self.assertIn("north: listed, heard ", published.stdout)
        again = self.server("publish", "--json")
        answer = json.loads(again.stdout)
        self.assertRegex(answer["attention"][0], "clock is (39|4[0-9])[0-9] seconds ahead")
        self.assertIn("seconds ahead of the authorities'", answer["attention"][0])
        self.assertEqual(answer["authorities"][0]["state"], "listed")
        self.assertEqual(len(self.authority.uploads), count)
        self.authority.close()
        away = self.server("publish", "--json")
        self.assertEqual(away.returncode, 69)
        self.assertEqual(json.loads(away.stdout)["authorities"][0]["error"], "no connection")

        log = (self.home / "log" / "mixminion.log").read_text()
        self.assertIn("Authority 1 of 1 says of this server: waiting.", log)
        self.assertIn("This machine's clock is", log)
        self.assertNotIn("Traceback", log)
        self.assertNotIn(self.authority.identity.hex()[:8], log)


class UpdateTests(NewNetworkCase):
    """``mixminion server update``, and starting without it."""

    def test_update(self) -> None:
        """It fetches a directory for a server that does not run; again, or not, as asked."""
        self.authority.sign([])
        done = self.server("update")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("lists 0 servers; it is valid until", done.stdout)
        self.assertTrue((self.home / "directory" / "consensus").exists())
        done = self.server("update", "--if-missing", "--json")
        self.assertEqual(json.loads(done.stdout), {"fetched": False})
        done = self.server("update", "--json")
        answer = json.loads(done.stdout)
        self.assertEqual((answer["fetched"], answer["servers"]), (True, 0))
        shutil.rmtree(self.home / "directory")
        done = self.server("update", "--if-missing", "--json")
        self.assertTrue(json.loads(done.stdout)["fetched"])
        held = lock.HomeLock(self.home)
        held.acquire()
        self.addCleanup(held.release)
        self.assertEqual(self.server("update").returncode, 73)

    def test_nobody_has_one(self) -> None:
        """69, and what each said."""
        done = self.server("update")
        self.assertEqual((done.returncode, done.stdout), (69, ""))
        self.assertIn(f"{self.authority.url}: it answered 404", done.stderr)

    def test_twistd(self) -> None:
        """``twistd mixminion`` names the command that it needs."""
        words = [sys.executable, "-P", "-c", "from twisted.scripts.twistd import run; run()"]
        config = str(self.home / "mixminiond.conf")
        done = subprocess.run(
            [*words, "--nodaemon", "--pidfile=", "mixminion", "--config", config],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            cwd=self.folder,
        )
        self.assertEqual(done.returncode, 78)
        self.assertIn(f"`mixminion server update --home {self.home}`", done.stderr)

    def test_bootstrap(self) -> None:
        """A network's bootstrap file says all that a server needs to know."""
        shutil.rmtree(self.home)
        others = ("http://127.0.0.1:9/",)
        named = Authority(self.authority.identity, "north", self.authority.url)
        path = self.folder / "network.txt"
        path.write_text(Bootstrap("example", (named,), others).text())
        self.init("--bootstrap", str(path))
        text = (self.home / "mixminiond.conf").read_text()
        self.assertIn(f"authorities = {self.authority.entry}", text)
        self.assertIn("sources = http://127.0.0.1:9/", text)
        self.authority.sign([])
        done = self.server("update", "--json")
        self.assertEqual(json.loads(done.stdout)["servers"], 0)
        shutil.rmtree(self.home)
        path.write_text("[Network]\n")
        words = ["--nickname", "a", "--address", "127.1.0.1:1", "--bootstrap", str(path)]
        done = self.server("init", *words)
        self.assertEqual(done.returncode, 65)
        self.assertIn("does not say which network to join", done.stderr)
        self.assertFalse(self.home.exists())

    def test_nobody_to_publish_to(self) -> None:
        """A server that knows no authority's address says so when it is asked to publish, and
        nothing otherwise."""
        config = self.home / "mixminiond.conf"
        text = config.read_text()
        self.authority.sign([])
        self.assertEqual(self.server("update").returncode, 0)
        config.write_text(text.replace(self.authority.entry, self.authority.identity.hex()))
        self.assertEqual(self.server("start").returncode, 0)
        self.assertEqual(attention(self.status()), [])
        self.assertEqual(self.status()["authorities"], [])
        done = self.server("publish")
        self.assertEqual(done.returncode, 78)
        self.assertIn("there is nobody to publish to", done.stderr)
        self.assertEqual(self.authority.uploads, [])
