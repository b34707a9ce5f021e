"""Passphrases of a server's keys, and its certificates: real processes, real terminals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mixminion.crypto import sign
from mixminion.directory.descriptor import Descriptor
from mixminion.directory.parameters import Parameters
from mixminion.disk import lock, private
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.commands import free_port, wait_until
from mixminion.testing.directory import sign_directory
from tests.cli import terminal

SECONDS = 60.0
WORDS = "correct horse"
OTHER = "battery staple"


class PassphraseCase(SyncTestCase):
    """One server; nothing of it says a passphrase."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.home = self.folder / "home"
        self.config = self.home / "mixminiond.conf"
        self.keys = self.home / "keys"
        self.address = f"127.1.0.1:{free_port(['127.1.0.1'])}"
        self.said = ""

    def file(self, words: str) -> Path:
        """A private file with this passphrase."""
        path = self.folder / words.replace(" ", "-")
        private.write(path, words.encode() + b"\nwhatever\n")
        return path

    def descriptor(self, words: str) -> int:
        """An open descriptor that gives this passphrase."""
        read, write = os.pipe()
        os.write(write, words.encode() + b"\n")
        os.close(write)
        os.set_inheritable(read, True)
        self.addCleanup(_close, read)
        return read

    def run_it(
        self, command: str, *arguments: object, fds: Sequence[int] = ()
    ) -> subprocess.CompletedProcess[str]:
        """``mixminion server ...``, without a terminal."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(
                self.words(command, *arguments),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=fds,
                start_new_session=True,
                timeout=SECONDS,
            )
            out.seek(0)
            err.seek(0)
            result = subprocess.CompletedProcess([], done.returncode, out.read(), err.read())
        self.said += result.stdout + result.stderr
        return result

    def ask_it(self, answers: Sequence[str], command: str, *arguments: object) -> tuple[int, str]:
        """The same on a terminal, where each question is answered; code, and what it showed."""
        code, shown = terminal.ask(self.words(command, *arguments), answers, seconds=SECONDS)
        self.said += shown
        return code, shown

    def words(self, command: str, *arguments: object) -> list[str]:
        """The command line."""
        python = [sys.executable, "-P", "-m", "mixminion", "server", command]
        return [*python, "--home", str(self.home), *map(str, arguments)]

    def init_words(self) -> list[str]:
        """The options of ``init``."""
        self.authority, public = sign.generate()
        return [
            *("--nickname", "mix1", "--address", self.address, "--listen", self.address),
            *("--test-network", "--store-limit", "16 MiB", "--authority", public.hex()),
        ]

    def init(self, *arguments: object, fds: Sequence[int] = ()) -> None:
        """Make the server and its network's directory."""
        made = self.run_it("init", *self.init_words(), *arguments, fds=fds)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.publish()

    def publish(self) -> None:
        """Sign the network's directory."""
        sign_directory(
            [(self.home / "descriptor").read_bytes()],
            [self.authority],
            now=time.time(),
            parameters=Parameters.local_demo(),
        ).write(self.home / "directory")
        self.addCleanup(self.end)

    def end(self) -> None:
        """Kill what runs, by its pid."""
        if pid := lock.holder(self.home):
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: lock.holder(self.home) is None, SECONDS, "it survived")

    def configure(self, value: str) -> None:
        """Another place of the passphrase."""
        lines = [
            line
            for line in self.config.read_text().splitlines()
            if not line.startswith("passphrase")
        ]
        if value:
            lines.insert(lines.index("[Server]") + 1, f"passphrase = {value}")
        private.write(self.config, "\n".join(lines).encode() + b"\n")

    def assert_protected(self, whether: bool = True) -> None:
        """All packet keys and the identity key are protected, or none is."""
        paths = [self.keys / "identity.key", *self.keys.glob("packet-*.key")]
        self.assertEqual(len(paths), 4)
        for path in paths:
            self.assertEqual(path.read_bytes().startswith(b"MIXSEAL\x01"), whether, path)

    def assert_refused(
        self, done: subprocess.CompletedProcess[str], code: int, *parts: str
    ) -> None:
        """That code, one sentence."""
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stderr.count("mixminion: "), 1, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)
        self.assertIsNone(lock.holder(self.home))

    def assert_works(self) -> None:
        """It runs with its keys; stop it.  Nothing says a passphrase: no argument, no
        environment, no log."""
        status = json.loads(self.run_it("status", "--json").stdout)
        self.assertTrue(status["ready"])
        for pid in status["pids"]:
            for name in ("cmdline", "environ"):
                octets = Path(f"/proc/{pid}/{name}").read_bytes()
                self.assert_silent(octets.decode("utf-8", "replace"))
        stopped = self.run_it("stop")
        self.assertEqual(stopped.returncode, 0, stopped.stderr)
        self.assert_silent((self.home / "log" / "mixminion.log").read_text())
        self.assert_silent(self.said)

    def assert_silent(self, text: str) -> None:
        for words in (WORDS, OTHER):
            self.assertNotIn(words, text)


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return


class StartTests(PassphraseCase):
    """Each way to give it, from ``init`` to a running server."""

    def test_file(self):
        """A file: init, start, a wrong one, an open one, none."""
        path = self.file(WORDS)
        self.init("--passphrase-file", path)
        self.assert_protected()
        self.assertIn(f"passphrase = file {path}\n", self.config.read_text())
        self.assertEqual(self.run_it("start").returncode, 0, self.said)
        self.assert_works()

        self.configure(f"file {self.file(OTHER)}")
        self.assert_refused(self.run_it("start"), 77, "The passphrase does not open", "packet-")
        path.chmod(0o644)
        self.configure(f"file {path}")
        self.assert_refused(self.run_it("start"), 77, f"chmod 600 {path}")
        path.unlink()
        self.assert_refused(self.run_it("start"), 78, f"from file {path}: No such file")
        private.write(path, b"\n")
        self.assert_refused(self.run_it("start"), 78, "its first line is empty")
        self.configure("")
        self.assert_refused(
            self.run_it("start"), 78, "is protected by a passphrase", "with passphrase in the"
        )
        self.assert_silent(self.said)

    def test_descriptor(self):
        """An open descriptor, in the background and in the foreground; a wrong one, none."""
        given = self.descriptor(WORDS)
        self.init("--passphrase-fd", given, fds=[given])
        self.assert_protected()
        given = self.descriptor(WORDS)
        self.configure(f"descriptor {given}")
        started = self.run_it("start", fds=[given])
        self.assertEqual(started.returncode, 0, started.stderr)
        self.assert_works()

        wrong = self.descriptor(OTHER)
        self.configure(f"descriptor {wrong}")
        self.assert_refused(self.run_it("start", fds=[wrong]), 77, "does not open")
        self.configure("descriptor 99")
        self.assert_refused(self.run_it("start", "--foreground"), 78, "descriptor 99: Bad file")

    def test_prompt(self):
        """A terminal: asked for twice at first, never shown; without one, a sentence."""
        code, shown = self.ask_it([WORDS, WORDS], "init", *self.init_words(), "--passphrase-prompt")
        self.assertEqual(code, 0, shown)
        self.publish()
        self.assert_protected()
        self.assertIn("passphrase = prompt\n", self.config.read_text())
        code, shown = self.ask_it([OTHER], "start")
        self.assertEqual(code, 77, shown)
        self.assertNotIn("Traceback", shown)
        self.assert_refused(self.run_it("start"), 78, "there is no terminal to ask on")
        code, shown = self.ask_it([WORDS], "start")
        self.assertEqual(code, 0, shown)
        self.assert_works()

    def test_two_different_ones(self):
        """A slip at the prompt leaves no server."""
        code, shown = self.ask_it([WORDS, OTHER], "init", *self.init_words(), "--passphrase-prompt")
        self.assertEqual(code, 78, shown)
        self.assertIn("two different ones", shown)
        self.assertFalse(self.home.exists())


class ChangeTests(PassphraseCase):
    def test_change(self):
        """From none to one, to another, to none; each time the server starts with it."""
        self.init()
        self.assert_protected(False)
        changed = self.run_it("change-passphrase", "--new-passphrase-file", self.file(WORDS))
        self.assertEqual(changed.returncode, 0, changed.stderr)
        self.assertIn(f"passphrase = file {self.file(WORDS)} in [Server]", changed.stdout)
        self.assert_protected()
        self.configure(f"file {self.file(WORDS)}")
        before = {path: path.read_bytes() for path in self.keys.iterdir()}
        for options, code in (
            (["--passphrase-file", self.file(OTHER), "--no-passphrase"], 77),
            (["--no-passphrase", "--new-passphrase-prompt"], 64),
            ([], 64),
        ):
            refused = self.run_it("change-passphrase", *options)
            self.assertEqual(refused.returncode, code, refused.stderr)
        self.assertEqual({path: path.read_bytes() for path in self.keys.iterdir()}, before)
        given = self.descriptor(OTHER)
        changed = self.run_it("change-passphrase", "--new-passphrase-fd", given, fds=[given])
        self.assertEqual(changed.returncode, 0, changed.stderr)
        self.assert_refused(self.run_it("start"), 77)
        self.configure(f"file {self.file(OTHER)}")
        self.assertEqual(self.run_it("start").returncode, 0)
        running = self.run_it("change-passphrase", "--no-passphrase")
        self.assertEqual(running.returncode, 73, running.stderr)
        self.assert_works()
        self.assertEqual(self.run_it("change-passphrase", "--no-passphrase").returncode, 0)
        self.assert_protected(False)

    def test_keys_elsewhere(self):
        """Packet keys in a key store of their own."""
        self.init()
        elsewhere = self.home / "elsewhere"
        private.make_folder(elsewhere)
        for path in self.keys.glob("packet-*.key"):
            path.rename(elsewhere / path.name)
        text = self.config.read_text()
        text = text.replace("[Server]\n", f"[Server]\nkey-store-path = {elsewhere}\n")
        private.write(self.config, text.encode())
        changed = self.run_it("change-passphrase", "--new-passphrase-file", self.file(WORDS))
        self.assertEqual(changed.returncode, 0, changed.stderr)
        packet_keys = [path.read_bytes() for path in elsewhere.glob("packet-*.key")]
        self.assertEqual([each[:7] for each in packet_keys], [b"MIXSEAL"] * 3)
        self.assertEqual([*self.keys.glob("packet-*.key")], [])
        self.configure(f"file {self.file(WORDS)}")
        self.assertEqual(self.run_it("start").returncode, 0, self.said)
        self.assert_works()

    def test_interrupted(self):
        """Half of the keys changed: the same command goes on."""
        path = self.file(WORDS)
        self.init("--passphrase-file", path)
        old = {path: path.read_bytes() for path in self.keys.glob("packet-*.key")}
        change = ["--new-passphrase-file", self.file(OTHER)]
        self.assertEqual(self.run_it("change-passphrase", *change).returncode, 0)
        one = min(old)
        private.write(one, old[one])
        again = self.run_it("change-passphrase", *change)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.configure(f"file {self.file(OTHER)}")
        self.assertEqual(self.run_it("start").returncode, 0, self.said)
        self.assert_works()


class CertifyTests(PassphraseCase):
    def test_certify(self):
        """A new signing key from an identity key that is kept elsewhere, under a passphrase of
        its own; the descriptor says the same as before, signed anew."""
        self.init()
        secret = self.file(WORDS)
        changed = self.run_it(
            "change-passphrase", "--keys", "identity", "--new-passphrase-file", secret
        )
        self.assertEqual(changed.returncode, 0, changed.stderr)
        away = self.folder / "away.key"
        (self.keys / "identity.key").rename(away)
        names = ("signing.key", "signing.der", "signing.json")
        before = [(self.keys / name).read_bytes() for name in names]
        old = Descriptor.verify((self.home / "descriptor").read_bytes(), time.time())

        stranger = self.folder / "stranger.key"
        private.write(stranger, sign.generate()[0].hex().encode())
        wrong = self.file(OTHER)
        for arguments, code, part in (
            ([], 78, "--identity"),
            (["--identity", away], 78, "is protected by a passphrase"),
            (["--identity", away, "--passphrase-file", wrong], 77, "does not open"),
            (["--identity", stranger], 78, "of another server"),
        ):
            self.assert_refused(self.run_it("certify", *arguments), code, part)
        self.assertEqual([(self.keys / name).read_bytes() for name in names], before)

        made = self.run_it("certify", "--identity", away, "--passphrase-file", secret, "--json")
        self.assertEqual(made.returncode, 0, made.stderr)
        after = [(self.keys / name).read_bytes() for name in names]
        self.assertFalse(set(before) & set(after))
        new = Descriptor.verify((self.home / "descriptor").read_bytes(), time.time())
        self.assertEqual((new.identity, new.packet_keys), (old.identity, old.packet_keys))
        self.publish()
        self.assertEqual(self.run_it("start").returncode, 0, self.said)
        status = json.loads(self.run_it("status", "--json").stdout)
        self.assertEqual(
            status["signing-key"]["valid-until"], json.loads(made.stdout)["valid-until"]
        )
        self.assert_works()
