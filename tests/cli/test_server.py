"""The operators' commands, as processes, against a home and a small daemon in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mixminion.cli.sheets import lines
from mixminion.disk import lock, private
from mixminion.testing.cases import SyncTestCase
from tests.cli.test_main import run

DAEMON = """
import pathlib, sys
from twisted.internet import reactor
from mixminion.control.server import ControlServer
from mixminion.disk.lock import HomeLock
home = pathlib.Path(sys.argv[1])
held = HomeLock(home)
held.acquire()
STATUS = {"attention": [], "nickname": "mix1", "listeners": ["127.0.0.1:1", "[::1]:1"],
          "queues": {"pool": 3, "exits": {"smtp": 1}, "peers": {}}, "absent": None, "ready": True}
def stop(arguments):
    reactor.callLater(0, reactor.stop)
    return {}
if "deaf" not in sys.argv:
    ControlServer(home / "control", {"status": lambda a: STATUS, "stop": stop}, reactor).start()
reactor.callWhenRunning(lambda: print("ready", flush=True))
reactor.run()
"""

CONFIG = """\
[Server]
nickname = mix1
[Incoming]
addresses = 8.8.8.8:48099
[Directory]
authorities = {key}
""".format(key="0a" * 32)


class HomeTestCase(SyncTestCase):
    """Tests with a home, and its configuration at ``self.path``."""

    def setUp(self) -> None:
        self.home = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.home)
        self.path = self.home / "mixminiond.conf"
        self.path.write_text(CONFIG)

    def server(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``mixminion server ...`` on this home."""
        command, *more = arguments
        return run("server", command, "--home", str(self.home), *more)

    def daemon(self, *words: str) -> int:
        """A process that holds the home and answers; its pid."""
        child = subprocess.Popen(
            [sys.executable, "-c", DAEMON, str(self.home), *words],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.addCleanup(child.stdout.close)
        self.assertEqual(child.stdout.readline(), "ready\n")
        return child.pid

    def refused(self, done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
        """One sentence on stderr with these parts, nothing on stdout, this exit code."""
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)


class StatusTests(HomeTestCase):
    def test_text(self):
        """Begins with OK; queues and the rest follow, indented."""
        self.daemon()
        done = self.server("status")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "OK")
        for line in [
            "nickname: mix1",
            "absent: -",
            "ready: yes",
            "listeners: 127.0.0.1:1, [::1]:1",
            "queues:",
            "  pool: 3",
            "  exits:",
            "    smtp: 1",
            "  peers: none",
        ]:
            self.assertIn(line, lines)

    def test_attention(self):
        """What is to do comes first."""
        shown = list(lines({"attention": ["do this", "and that"], "nickname": "x"}))
        self.assertEqual(shown[:2], ["do this", "Also: and that"])

    def test_json(self):
        """JSON is the daemon's answer as it is; a configuration spoilt since does no harm."""
        self.daemon()
        self.path.write_text("[Server\n")
        answer: dict[str, Any] = json.loads(self.server("status", "--json").stdout)
        self.assertEqual(answer["queues"], {"pool": 3, "exits": {"smtp": 1}, "peers": {}})

    def test_not_running(self):
        """No server is one sentence and 69."""
        self.refused(self.server("status"), 69, "No server runs from", "mixminion server start")

    def test_no_home(self):
        """A home that is not there is one sentence and 78."""
        done = run("server", "status", "--home", str(self.home / "x"))
        self.refused(done, 78, str(self.home / "x" / "mixminiond.conf"), "mixminion server init")


class StopTests(HomeTestCase):
    def test_stop(self):
        """Stopping returns when the server has let go of its home."""
        self.daemon()
        done = self.server("stop")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIsNone(lock.holder(self.home))

    def test_deaf(self):
        """A server that does not answer is ended by a signal."""
        self.daemon("deaf")
        self.assertEqual(self.server("stop").returncode, 0)
        self.assertIsNone(lock.holder(self.home))

    def test_hangs(self):
        """A server that does not end in time is told with its pid, and 75."""
        pid = self.daemon()
        os.kill(pid, signal.SIGSTOP)
        self.refused(self.server("stop", "--timeout", "0.3"), 75, f"kill {pid}")

    def test_not_running(self):
        """Nothing to stop is 69."""
        self.refused(self.server("stop"), 69, "No server runs from")


class StartTests(HomeTestCase):
    def test_in_use(self):
        """A home that is held is 73, and names who holds it."""
        pid = self.daemon()
        self.refused(self.server("start"), 73, f"process {pid};")

    def test_bad_configuration(self):
        """A configuration with errors is 78; every error is told."""
        self.path.write_text("[Server]\nnickname = 1\nx = 2\n")
        done = self.server("start")
        self.assertEqual(done.returncode, 78)
        for line in ("mixminiond.conf:2: [Server] nickname", "mixminiond.conf:3: [Server] x"):
            self.assertIn(line, done.stderr)


class CheckConfigTests(HomeTestCase):
    def test_all_at_once(self):
        """Every error of the file, with its line; 78."""
        self.path.write_text("[Server]\nnickname = 1\nx = 2\n[Exit a]\nmodule = nosuch\n")
        done = self.server("check-config")
        self.assertEqual(done.returncode, 78)
        self.assertEqual(done.stdout.splitlines()[0], "4 errors:")
        self.assertIn("mixminiond.conf:5: [Exit a] module: no such module", done.stdout)
        answer = json.loads(self.server("check-config", "--json").stdout)
        self.assertEqual(len(answer["errors"]), 4)

    def test_addresses(self):
        """Addresses that nobody could dial are explained, each with its line."""
        addresses = "127.1.0.1:1, 10.0.0.1:1, 0.0.0.0:1, [::1]:1, localhost:1, 8.8.8.8:1"
        self.path.write_text(CONFIG.replace("8.8.8.8:48099", addresses))
        wrong = json.loads(self.server("check-config", "--json").stdout)["errors"]
        told = [line for line in wrong if "mixminiond.conf:4: [Incoming] addresses" in line]
        self.assertEqual(len(told), 5, told)
        self.path.write_text(
            self.path.read_text().replace("[Incoming]", "test-network = yes\n[Incoming]")
        )
        wrong = json.loads(self.server("check-config", "--json").stdout)["errors"]
        self.assertFalse([line for line in wrong if "addresses" in line])

    def test_exits(self):
        """No exit to mail without a contact and a domain; rules are read with the rest."""
        rules = self.home / "rules"
        rules.write_text("deny user root\ndeny nobody\n")
        exit = (
            "[Abuse]\nrules = rules\nmail-listen = tcp:x\ncomplaints-to = me@x.example\n"
            "[Exit smtp]\nmodule = smtp\n"
        )
        for more, told in (
            ("", "mixminiond.conf:11: [Exit smtp] domain: is missing"),
            ("domain = x.example\n", "[Server] contact: expected how to reach you"),
            ("domain = x.example\n", f"{rules}:2: expected deny or allow"),
            ("domain = x.example\n", "[Abuse] complaints-to: expected an address elsewhere"),
            ("domain = x.example\n", "[Abuse] mail-listen: expected an endpoint"),
        ):
            self.path.write_text(CONFIG + exit + more)
            self.assertIn(told, self.server("check-config").stdout)

    def test_files(self):
        """Missing keys and open folders are told with what mends them."""
        self.home.chmod(0o755)
        done = self.server("check-config")
        self.assertIn(f"chmod 700 {self.home}", done.stdout)
        self.assertIn("signing.key is missing", done.stdout)


class DumpConfigTests(HomeTestCase):
    def test_text(self):
        """Each value with its place; what is printed is the same configuration in any folder."""
        self.path.write_text(CONFIG + "[Exit out]\nmodule = smtp\ndomain = x.example\n")
        done = self.server("dump-config")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        for at, line in (
            (f"# {self.path}:2", "nickname = mix1"),
            ("# default", f"control = {self.home}/control"),
            (f"# {self.path}:8", "module = smtp"),
            ("# default", "relay = 127.0.0.1:25"),
        ):
            self.assertEqual(lines[lines.index(line) - 1], at)
        again = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, again)
        (again / "mixminiond.conf").write_text(done.stdout)
        listed = [
            [(each["section"], each["key"], each["value"]) for each in json.loads(dumped.stdout)]
            for dumped in (
                self.server("dump-config", "--json"),
                run("server", "dump-config", "--json", "--home", str(again)),
            )
        ]
        self.assertEqual(*listed)

    def test_json(self):
        """Every key of every section once, its value as the file would have it."""
        self.path.write_text(CONFIG.replace("[Incoming]", "passphrase = file secret\n[Incoming]"))
        private.write(self.home / "secret", b"correct horse\n")
        done = self.server("dump-config", "--json")
        found = {(each["section"], each["key"]): each for each in json.loads(done.stdout)}
        self.assertEqual(
            found["Incoming", "addresses"],
            {
                "section": "Incoming",
                "key": "addresses",
                "value": "8.8.8.8:48099",
                "source": {"file": str(self.path), "line": 5},
            },
        )
        self.assertEqual(found["Server", "contact"]["value"], None)
        self.assertEqual(found["Log", "keep"]["source"], "default")
        self.assertEqual(found["Server", "passphrase"]["value"], f"file {self.home}/secret")
        self.assertNotIn("correct horse", done.stdout)

    def test_errors(self):
        """Errors are told as check-config tells them, to people and to programs."""
        self.path.write_text("[Server]\nnickname = 1\nx = 2\n[Exit a]\nmodule = nosuch\n")
        for more in ((), ("--json",)):
            told = [self.server(name, *more) for name in ("dump-config", "check-config")]
            self.assertEqual(told[0].returncode, 78)
            self.assertEqual(told[0].stdout, told[1].stdout)
        self.assertIn("mixminiond.conf:3: [Server] x: unknown key", told[0].stdout)


class InitTests(HomeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path.unlink()

    def init(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.server("init", "--nickname", "mix1", "--address", "8.8.8.8:48099", *arguments)

    def test_middle(self):
        """A server is made that needs only the authorities' keys; its files are private."""
        done = self.init("--authority", "0a" * 32)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("mixminion server start", done.stdout)
        checked = self.server("check-config")
        self.assertEqual(checked.returncode, 0, checked.stdout)
        for folder, _, names in os.walk(self.home):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700)
            for name in names:
                found = os.stat(os.path.join(folder, name))
                self.assertEqual(stat.S_IMODE(found.st_mode), 0o600, name)

    def test_json(self):
        """JSON names the identity and the files; an exit is written as it was asked for."""
        done = self.init("--exit-smtp-relay", "127.0.0.1:25", "--exit-smtp-domain", "x.example",
                         "--contact", "me@x.example", "--exit-drop", "--workers", "2",
                         "--json")  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        made = json.loads(done.stdout)
        self.assertEqual(len(bytes.fromhex(made["identity"])), 32)
        self.assertTrue(Path(made["descriptor"]).exists())
        text = Path(made["config"]).read_text()
        for line in ("[Exit smtp]", "relay = 127.0.0.1:25", "[Exit drop]", "workers = 2"):
            self.assertIn(line, text.splitlines())

    def test_twice(self):
        """A home that has a server is left alone; 73."""
        self.path.write_text(CONFIG)
        self.refused(self.init(), 73, "There is a server in")
        self.assertEqual(self.path.read_text(), CONFIG)

    def test_wrong_values(self):
        """Wrong values are told all at once, before anything is made; 64."""
        done = self.server("init", "--nickname", "1", "--address", "x", "--workers", "99")
        self.refused(done, 64, "nickname", "addresses", "workers")
        done = self.init("--contact", "me\n[Log]\nlevel = debug")
        self.refused(done, 64, "[Server] contact")
        self.refused(self.init("--exit-smtp-relay", "a:25"), 64, "--exit-smtp-domain")
        exit = ("--exit-smtp-relay", "a:25", "--exit-smtp-domain", "x.example")
        self.refused(self.init(*exit), 64, "--contact")
        self.assertEqual(os.listdir(self.home), [])
