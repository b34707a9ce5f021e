"""The server under twistd, as a daemon and in the foreground: real processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import lmdb
from twisted.internet.threads import deferToThread

from mixminion.app.init import ServerKeys
from mixminion.crypto import sign
from mixminion.directory.descriptor import Descriptor
from mixminion.directory.parameters import Parameters
from mixminion.disk import private
from mixminion.disk.lock import HomeLock
from mixminion.net import listeners
from mixminion.net.links import certify
from mixminion.store.opening import check
from mixminion.testing.cases import AsyncTestCase
from mixminion.testing.commands import wait_until
from mixminion.testing.directory import sign_directory
from mixminion.util.hostport import HostPort
from tests.app import kit
from tests.app.kit import Home, ServerCase

MODES = ((), ("--nodaemon",))
DAY = 86_400


class RefusedTests(ServerCase):
    """What keeps a server from starting: a documented code, one sentence, and nothing left.

    Each in the foreground and as a daemon, at one time, in two homes.
    """

    def refused(self, spoil: Callable[[Home], object], code: int, *parts: str) -> None:
        homes = [self.home() for _ in MODES]
        said = [spoil(home) for home in homes]
        started = [home.twistd(*mode) for home, mode in zip(homes, MODES, strict=True)]
        for home, process, part in zip(homes, started, said, strict=True):
            done = process.done()
            self.assertRefused(done, code, *parts, *([part] if isinstance(part, str) else ()))
            self.assertFalse(home.log.is_file() and home.log.read_text())
            self.assertFalse(home.pidfile.exists())
            self.assertFalse((home.folder / "control").exists())

    def test_configuration(self):
        """A key that nobody knows: file, line and key."""

        def spoil(home: Home) -> str:
            with home.config.open("a") as file:
                file.write("[Log]\nlevle = info\n")
            return f"{home.config}:{len(home.config.read_text().splitlines())}: [Log] levle"

        self.refused(spoil, 78)

    def test_changeable_configuration(self):
        """A configuration that others could write."""

        def spoil(home: Home) -> str:
            home.config.chmod(0o666)
            return f"chmod go-w {home.config}"

        self.refused(spoil, 77)

    def test_no_directory(self):
        """No directory of the network."""
        self.refused(lambda home: shutil.rmtree(home.folder / "directory"), 78, "no directory in")

    def test_stranger(self):
        """A directory that somebody else signed."""

        def spoil(home: Home) -> None:
            sign_directory(
                [(home.folder / "descriptor").read_bytes()],
                [sign.generate()[0]],
                now=time.time(),
                parameters=Parameters.local_demo(),
            ).write(home.folder / "directory")

        self.refused(
            spoil,
            78,
            "signed by 0 of the 3 authorities in your configuration",
            "1 signature of authorities that are not in your configuration",
            "check the authorities' keys",
        )

    def test_open_key(self):
        """A key that others could read: the command that mends it."""

        def spoil(home: Home) -> str:
            (home.keys / "signing.key").chmod(0o640)
            return f"chmod 600 {home.keys / 'signing.key'}"

        self.refused(spoil, 77, "has mode 0640")

    def test_damaged_key(self):
        """A key that is none."""
        self.refused(
            lambda home: (home.keys / "signing.key").write_text("abc\n"),
            78,
            "signing.key is no key",
        )

    def test_damaged_packet_key(self):
        """One that only workers could read: a worker of its own tells, before the fork."""
        self.refused(lambda home: f"The packet key {damage(home)} cannot be read. Move it away", 78)

    def test_damaged_storage_key(self):
        """One that nothing stored could be opened with."""

        def spoil(home: Home) -> str:
            private.write(home.keys / "storage-1.key", b"MIXSTORE")
            return f"The storage key {home.keys / 'storage-1.key'} cannot be read; move it away"

        self.refused(spoil, 78)

    def test_missing(self):
        """A file that every server has."""
        self.refused(
            lambda home: (home.folder / "descriptor").unlink(), 78, "descriptor is missing", "init"
        )

    def test_expired(self):
        """A signing certificate that has ended."""
        now = int(time.time())

        def spoil(home: Home) -> None:
            keys = ServerKeys(home.folder)
            identity = bytes.fromhex(keys.identity.read_text())
            public = sign.public(keys.read_signing())
            octets = certify(identity, public, now - 61 * DAY, now - DAY)
            private.write(keys.link_certificate, octets)

        self.refused(spoil, 78, "The signing certificate ended at", "certify")

    def test_port(self):
        """A port that another program has."""

        def spoil(home: Home) -> str:
            taken = listeners.bind(HostPort("127.1.0.1", home.port))
            self.addCleanup(taken.close)
            return f"Cannot listen on {home.address}, another program does: stop it"

        self.refused(spoil, 69)

    def test_home(self):
        """A home that another process holds: its pid."""

        def spoil(home: Home) -> None:
            held = HomeLock(home.folder)
            held.acquire()
            self.addCleanup(held.release)

        self.refused(spoil, 73, f"in use by process {os.getpid()}; stop that one")

    def test_newer_store(self):
        """A store that a later version wrote."""

        def spoil(home: Home) -> None:
            path = home.folder / "store"
            check(path, 2**24)
            with lmdb.open(str(path), max_dbs=9, mode=0o600) as environment:
                meta = environment.open_db(b"meta")
                with environment.begin(write=True) as transaction:
                    transaction.put(b"format", b"99", db=meta)

        self.refused(spoil, 73, "has format 99", "Run the newer Mixminion again")

    def test_log(self):
        """A log that cannot be written."""
        self.refused(
            lambda home: private.make_folder(home.log), 73, "Cannot write", "mixminion.log"
        )


def damage(home: Home) -> Path:
    """Have it lose the packet key of the present period; where that was."""
    view = home.view
    path = home.keys / f"packet-{view.current_period(time.time())}.key"
    private.write(path, b"{}")
    return path


class FailedTests(ServerCase):
    """What fails after the fork ends the process, with a sentence in the log."""

    def failed(self, spoil: Callable[[Home], object], code: int, *parts: str) -> None:
        homes = [self.home() for _ in MODES]
        for home in homes:
            spoil(home)
        started = [home.twistd(*mode) for home, mode in zip(homes, MODES, strict=True)]
        daemon, foreground = [process.done() for process in started]
        self.assertEqual((daemon.code, daemon.out), (1, ""))
        self.assertIn(f"NotStarted: see {homes[0].log}"[:50], daemon.err)
        self.assertNotIn("Traceback", daemon.err)
        self.assertEqual((foreground.code, foreground.err), (code, ""))
        for home in homes:
            self.wait(lambda: home.pid is None, "it did not end")  # noqa: B023
            self.wait(lambda: not home.pidfile.exists(), "a pid file")  # noqa: B023
            text = home.log.read_text()
            self.assertEqual(text.count("The server could not start."), 1)
            self.assertNotIn("Nobody caught", text)
            for part in parts:
                self.assertIn(part, text)

    def test_control(self):
        """Something else where the control socket should be."""
        self.failed(lambda home: private.make_folder(home.folder / "control"), 70)


class RunningTests(ServerCase):
    """Signals, and a second start."""

    def test_foreground(self):
        """It says first what it is, survives SIGHUP, is alone, and ends cleanly by SIGINT."""
        home = self.home()
        started = self.start(home, "--nodaemon")
        self.assertEqual(home.pid, started.process.pid)

        first = home.log.read_text().splitlines()[0]
        self.assertTrue(first.endswith(f", configuration {home.config}."), first)
        self.assertIn("Mixminion ", first)

        os.kill(started.process.pid, signal.SIGHUP)
        self.wait(lambda: "SIGHUP: " in home.log.read_text(), "SIGHUP is not logged")
        self.assertTrue(home.ready)

        second = home.twistd("--nodaemon", "--pidfile", "another.pid").done()
        self.assertRefused(second, 73, f"in use by process {started.process.pid};")
        self.assertTrue(home.ready)

        self.status(home)
        pids = kit.processes(home)
        started.process.send_signal(signal.SIGINT)
        done = started.done()
        self.assertEqual((done.code, done.err), (-signal.SIGINT, ""))
        self.assertTrue(done.out.startswith(first))
        self.assertOver(home)
        self.assertFalse([pid for pid in pids if kit.alive(pid)])

    def status(self, home: Home) -> None:
        """Status has these parts, always."""
        status = home.ask()
        self.assertEqual(
            set(status),
            {
                *("attention", "nickname", "configuration", "versions", "ready", "pids"),
                *("protection", "authorities", "needs-restart", "exits", "hand-overs"),
                *("workers", "listeners", "directory", "signing-key", "key-periods"),
                *("counters", "store", "key-store", "found", "packets", "links"),
            },
        )
        self.assertEqual(kit.attention(status), [])
        self.assertEqual(len(status["protection"]["workers"]), 2)
        for process in (status["protection"]["server"], *status["protection"]["workers"]):
            self.assertEqual((process["dumpable"], process["core-limit-kB"]), (False, 0))
        self.assertEqual(status["listeners"], [home.address])
        self.assertEqual(status["workers"], {"configured": 2, "running": 2})
        self.assertEqual(status["configuration"], str(home.config))
        directory = dict(status["directory"])
        self.assertEqual((directory.pop("servers"), directory.pop("lists-this-server")), (1, True))
        self.assertEqual(status["authorities"], [])
        for when in (*directory.values(), *status["signing-key"].values()):
            self.assertRegex(when, r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")

    def test_daemon(self):
        """SIGTERM ends a daemon and leaves nothing: no pid file, lock, socket or worker."""
        home = self.home()
        started = self.start(home)
        self.assertEqual(started.done(), kit.Done(0, "", ""))
        pids = kit.processes(home)
        self.assertEqual(home.pidfile.read_text(), str(pids[0]))
        os.kill(pids[0], signal.SIGTERM)
        self.assertOver(home)
        self.wait(lambda: not any(map(kit.alive, pids)), "a process is left")
        self.assertNotIn("Traceback", home.log.read_text())

    def test_killed(self):
        """kill -9 of the network process leaves no worker, and a free port."""
        home = self.home()
        started = self.start(home, "--nodaemon")
        pids = kit.processes(home)
        self.assertEqual(len(pids), 3)
        os.kill(pids[0], signal.SIGKILL)
        started.done()
        self.wait(lambda: not any(map(kit.alive, pids)), "a worker is left")
        listeners.bind(HostPort("127.1.0.1", home.port)).close()
        self.start(home, "--nodaemon")

    def test_rules(self):
        """From whom connections are taken: published, and refused before a single octet."""
        home = self.home()
        text = home.config.read_text()
        rules = "deny 127.0.0.1/32, allow 127.0.0.0/8, deny 0.0.0.0/0"
        home.config.write_text(text.replace("[Incoming]\n", f"[Incoming]\naccept = {rules}\n"))
        self.start(home, "--nodaemon")
        published = Descriptor.verify(private.read(home.folder / "descriptor"), time.time())
        self.assertEqual(", ".join(map(str, published.accepts)), rules)
        host, _, port = home.address.rpartition(":")
        for source, answers in (("127.0.0.1", False), ("127.0.0.2", True)):
            with socket.create_connection((host, int(port)), 10, (source, 0)) as connection:
                connection.settimeout(1.0)
                connection.sendall(b"\x16\x03\x01")  # how TLS begins
                try:
                    closed = connection.recv(1) == b""
                except ConnectionResetError:
                    closed = True
                except TimeoutError:
                    closed = False
            self.assertEqual(not closed, answers)

    def test_wrong_rules(self):
        """Each is named, with its line."""
        home = self.home()
        text = home.config.read_text()
        wrong = "[Incoming]\naccept = deny 127.0.0.1/8\n"
        home.config.write_text(text.replace("[Incoming]\n", wrong) + "[Outgoing]\ndial = no\n")
        done = home.twistd().done()
        self.assertRefused(
            done, 78, "[Incoming] accept: expected allow or deny and a network", "[Outgoing] dial"
        )

    def test_signalled_together(self):
        """A signal for all its processes ends it in order: workers wait for the end of work."""
        home = self.home()
        self.start(home, "--nodaemon")
        pids = kit.processes(home)
        for pid in reversed(pids):
            os.kill(pid, signal.SIGTERM)
        self.assertOver(home)
        self.assertNotIn("worker process ended", home.log.read_text())

    def test_umask(self):
        """Under every umask all files are 0600 and folders 0700, those of workers included."""
        homes = {umask: self.home() for umask in ("0", "077", "0777")}
        for home in homes.values():
            for path in home.keys.glob("packet-*.key"):
                path.unlink()
        for umask, home in homes.items():
            self.start(home, "--nodaemon", umask=umask)
        for umask, home in homes.items():
            self.assertEqual(len(list(home.keys.glob("packet-*.key"))), 3)
            for path in [home.folder, *home.folder.rglob("*")]:
                mode = stat.S_IMODE(path.stat().st_mode)
                wanted = 0o700 if path.is_dir() else 0o600
                self.assertEqual(mode, wanted, f"{path} under {umask}")


class WorkerTests(AsyncTestCase):
    """Workers that are killed with work in their hands."""

    timeout = 60

    def replaced(self, home: Home, killed: list[int]) -> list[int]:
        """Wait for two others than those that were killed."""
        workers = killed

        def others() -> bool:
            nonlocal workers
            _, *workers = kit.processes(home)
            return len(workers) == 2 and not set(workers) & set(killed)

        wait_until(others, kit.SECONDS, "they are not replaced")
        return workers

    async def test_key_damaged_later(self) -> None:
        """What a worker that is new cannot read is told with the file and the remedy; nothing is
        lost meanwhile."""
        case = ServerCase()
        self.addCleanup(lambda: deferToThread(case.doCleanups))
        home = case.home()
        await deferToThread(case.start, home, "--nodaemon")
        _, *workers = await deferToThread(kit.processes, home)
        kept = {path: path.read_bytes() for path in home.keys.glob("packet-*.key")}
        damaged = damage(home)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        await kit.send(home.view, home.address, [kit.packet(home.view, b"x") for _ in range(20)])
        told = f"The packet key {damaged} cannot be read. Move it away and start again"

        def attention() -> list[str]:
            return kit.attention(home.ask())

        await deferToThread(
            case.wait, lambda: [a for a in attention() if a.startswith(told)], "not told"
        )
        self.assertEqual((await deferToThread(home.ask))["store"]["incoming"], 20)
        private.write(damaged, kept[damaged])
        await deferToThread(
            case.wait, lambda: home.ask()["counters"].get("delivered", 0) == 20, "missing"
        )
        self.assertEqual(await deferToThread(attention), [])

    async def test_killed_under_load(self) -> None:
        """They are replaced, and every packet arrives once."""
        case = ServerCase()
        self.addCleanup(lambda: deferToThread(case.doCleanups))
        home = case.home()
        await deferToThread(case.start, home, "--nodaemon")
        view = home.view
        packets = [kit.packet(view, b"message %d" % n) for n in range(300)]
        _, *workers = await deferToThread(kit.processes, home)
        for round in range(2):
            for pid in workers:
                os.kill(pid, signal.SIGSTOP)
            part = packets[150 * round : 150 * (round + 1)]
            sender = await kit.send(view, home.address, part)
            self.assertEqual(len(sender.received_keys), 150)
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            workers = await deferToThread(self.replaced, home, workers)

        def arrived() -> bool:
            return bool(home.ask()["counters"].get("delivered", 0) >= 300)

        await deferToThread(case.wait, arrived, "packets are missing")
        status = await deferToThread(home.ask)
        counted = {name: status["counters"].get(name, 0) for name in
                   ("received", "pooled", "delivered", "replayed", "worker-died")}  # fmt: skip
        self.assertEqual(
            counted,
            {"received": 300, "pooled": 300, "delivered": 300, "replayed": 0, "worker-died": 4},
        )
        self.assertEqual((status["store"]["incoming"], status["store"]["pooled"]), (0, 0))
        self.assertEqual(kit.attention(status), [])
