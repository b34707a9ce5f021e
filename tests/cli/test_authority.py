"""``mixminion authority``: what its commands print and change, with real authorities."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import time
from pathlib import Path
from typing import Any

import click

from mixminion.app.authority_keys import AuthorityKeys, BadAuthorityKey
from mixminion.cli.authority import command as group
from mixminion.cli.waiting import wait_until
from mixminion.crypto import sign as ed25519
from mixminion.directory import certificate
from mixminion.directory.bootstrap import Bootstrap
from mixminion.directory.certificate import Role
from mixminion.directory.descriptor import PROTOCOLS, Descriptor, PacketKey
from mixminion.directory.parts import Exit
from mixminion.directory.receipt import Receipt
from mixminion.disk import lock, private
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.directory import server_signer
from mixminion.util.hostport import HostPort
from tests.cli.authorities import AuthorityHomeCase

DAY = 86_400


class TableTests(SyncTestCase):
    def test_every_command(self):
        """Each command of the table can be loaded and has help."""
        for name in group.table:
            with click.Context(group) as context:
                command = group.get_command(context, name)
            assert command is not None
            self.assertTrue(command.help, name)


class InitTests(AuthorityHomeCase):
    def test_made(self):
        """A home with private files; it prints the line that others need, and what to do next."""
        done = self.authority("init", "--nickname", "moria", "--url", self.url, "--contact", "me")
        keys = AuthorityKeys(self.home)
        identity = keys.read_identity().hex()
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], f"Made the authority moria in {self.home}.")
        self.assertEqual(lines[2].strip(), f"moria {identity} {self.url}")
        self.assertIn(f"mixminion authority start --home {self.home}", done.stdout)
        for folder, _, names in os.walk(self.home):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700)
            for name in names:
                found = os.stat(os.path.join(folder, name))
                self.assertEqual(stat.S_IMODE(found.st_mode), 0o600, name)
        self.assertEqual(self.authority("check-config").stdout, f"OK: {self.config}\n")
        _, statement = keys.read_signer(None, time.time())
        self.assertEqual(statement.role, Role.AUTHORITY)
        self.assertLess(abs(statement.valid_until - time.time() - 90 * DAY), 60)

    def test_json(self):
        """The same for programs; other authorities' lines are taken as they were printed."""
        other = f"tor {'0b' * 32} http://192.0.2.9:80/"
        made = self.init("--authority", other, "--policy", "open")
        self.assertEqual(made["join-line"], f"moria {made['identity']} {self.url}")
        text = Path(made["config"]).read_text()
        self.assertIn(f"authorities = {other}\n", text)
        self.assertIn("policy = open\n", text)

    def test_twice(self):
        """A home that has an authority is left alone; 73."""
        self.init()
        before = self.config.read_text()
        done = self.authority("init", "--nickname", "x", "--url", self.url, code=None)
        self.refused(done, 73, "There is an authority in", "--home")
        self.config.unlink()
        done = self.authority("init", "--nickname", "x", "--url", self.url, code=None)
        self.refused(done, 73, "There is an authority in")
        self.assertFalse(self.config.exists())
        self.assertTrue(before)

    def test_wrong_values(self):
        """Told all at once, before anything is made; 64."""
        done = self.authority("init", "--nickname", "1", "--url", "ftp://x", "--authority", "y",
                              code=None)  # fmt: skip
        self.refused(done, 64, "nickname", "url", "[Directory] authorities")
        self.assertFalse(self.home.exists())

    def test_passphrase(self):
        """Both keys are protected, and the start needs the passphrase."""
        secret = self.home.parent / "secret"
        private.write(secret, b"open sesame\n")
        self.init("--passphrase-file", str(secret))
        for path in (self.home / "keys" / "identity.key", self.home / "keys" / "signing.key"):
            self.assertTrue(path.read_bytes().startswith(b"MIXSEAL"))
        self.start()
        self.end()
        private.write(secret, b"close sesame\n")
        done = self.authority("start", code=None)
        self.refused(done, 77, "passphrase does not open", "signing.key")
        self.change(f"passphrase = file {secret}\n", "")
        done = self.authority("start", code=None)
        self.refused(done, 78, "protected by a passphrase")

    def test_bootstrap(self):
        """The file that clients join with has all authorities."""
        other = f"tor {'0b' * 32} http://192.0.2.9:80/"
        made = self.init("--authority", other)
        text = self.authority("bootstrap", "--name", "Testnet").stdout
        found = Bootstrap.read(text.encode(), "stdin")
        self.assertEqual(found.name, "Testnet")
        self.assertEqual([each.nickname for each in found.authorities], ["moria", "tor"])
        self.assertEqual(found.authorities[0].identity.hex(), made["identity"])
        done = self.authority("bootstrap", "--name", "x" * 65, code=None)
        self.refused(done, 64, "at most 64 characters")


class CertifyTests(AuthorityHomeCase):
    def test_off_line(self):
        """A new signing key from an identity that is kept elsewhere; the running authority takes
        it at a reload, with the same pid."""
        self.init()
        elsewhere = self.home.parent / "stick.key"
        (self.home / "keys" / "identity.key").rename(elsewhere)
        self.start()
        pid, before = lock.holder(self.home), self.answer("status")["signing-key"]["valid-until"]
        done = self.authority("certify", code=None)
        self.refused(done, 78, "There is no identity key at", "--identity")
        made = self.answer("certify", "--identity", str(elsewhere), "--days", "120")
        self.assertEqual(self.answer("status")["signing-key"]["valid-until"], before)
        self.authority("reload")
        self.assertEqual(self.answer("status")["signing-key"], made)
        self.assertEqual(lock.holder(self.home), pid)

    def test_other_identity(self):
        """Another authority's identity is refused, and nothing is changed."""
        self.init()
        key = self.home.parent / "other.key"
        private.write(key, ed25519.generate()[0].hex().encode())
        before = (self.home / "keys" / "signing.key").read_bytes()
        done = self.authority("certify", "--identity", str(key), code=None)
        self.refused(done, 78, "is the identity key of another authority")
        self.assertEqual((self.home / "keys" / "signing.key").read_bytes(), before)

    def test_passphrases(self):
        """Identity and signing key may have different ones."""
        one, two = self.home.parent / "one", self.home.parent / "two"
        private.write(one, b"one\n")
        private.write(two, b"two\n")
        self.init("--passphrase-file", str(one))
        self.change(f"passphrase = file {one}", f"passphrase = file {two}")
        done = self.authority("certify", code=None)
        self.refused(done, 77, "does not open", "identity.key")
        self.authority("certify", "--passphrase-file", str(one))
        self.start()

    def test_text(self):
        """What it prints."""
        self.init()
        said = self.authority("certify").stdout.splitlines()
        self.assertRegex(said[0], r"^Made a signing key that is valid until 2\d{3}-.*Z\.$")
        self.assertEqual(said[1], "A running authority uses it after `mixminion authority reload`.")


class CheckConfigTests(AuthorityHomeCase):
    def test_all_at_once(self):
        """Every error of the file, with its line; 78."""
        self.init()
        self.change("profile = local-demo\n", "profile = local-demo\nhops = 0\n")
        self.change("#policy =", "policy = friendly\nspeed = 9")
        done = self.authority("check-config", code=78)
        self.assertEqual(done.stdout.splitlines()[0], "3 errors:")
        for part in ("[Network] hops", "[Admission] speed: unknown key", "[Admission] policy"):
            self.assertIn(part, done.stdout)
        self.assertEqual(len(json.loads(
            self.authority("check-config", "--json", code=78).stdout)["errors"]), 3)  # fmt: skip

    def test_files(self):
        """Missing keys, open files and broken figures, each with what mends it."""
        self.init()
        (self.home / "keys" / "signing.key").chmod(0o644)
        (self.home / "keys" / "signing.json").unlink()
        with self.config.open("a") as file:
            file.write("[Figures]\nfiles = none.json\n")
        out = self.authority("check-config", code=78).stdout
        for part in ("chmod 600", "signing.json is missing", "none.json cannot be used"):
            self.assertIn(part, out)

    def test_no_home(self):
        """No configuration is one sentence; 78."""
        done = self.authority("check-config", code=None)
        self.refused(done, 78, "Cannot read the configuration", "mixminion authority init")


class RunningTests(AuthorityHomeCase):
    """One authority that runs."""

    def setUp(self) -> None:
        super().setUp()
        self.made = self.init()
        self.start()
        self.busy = socket.socket()
        self.addCleanup(self.busy.close)
        self.busy.bind(("127.1.0.1", 0))  # and nobody listens
        self.private, self.identity = ed25519.generate()

    def descriptor(self, **changes: Any) -> bytes:
        """That of a server that does not answer."""
        now = int(time.time())
        fields: dict[str, Any] = {
            "identity": self.identity,
            "nickname": "alice",
            "start": 1,
            "published": now,
            "valid_after": now,
            "valid_until": now + 30 * DAY,
            "addresses": (HostPort("127.1.0.1", self.busy.getsockname()[1]),),
            "protocols": PROTOCOLS,
            "suites": ("xwing",),
            "packet_keys": (
                PacketKey(period=now // (7 * DAY), suite="xwing", key=bytes(1216)),
                PacketKey(period=now // (7 * DAY) + 1, suite="xwing", key=bytes(1216)),
            ),
        }
        return Descriptor(**(fields | changes)).sign(server_signer(self.private, now=now))

    def receipt(self, octets: bytes) -> Receipt:
        identity = bytes.fromhex(self.made["identity"])
        return Receipt.verify(octets, identity, time.time())

    def test_life_of_a_server(self):
        """It waits, is approved, is not reachable, is rejected, banned, and taken back."""
        receipt = self.receipt(self.post(self.descriptor()))
        self.assertEqual(str(receipt.state), "waiting")
        status = self.answer("status")
        self.assertIn("1 new server waits for your word", " ".join(status["attention"]))
        self.assertEqual(status["servers"], {"waiting": 1})
        (server,) = self.answer("servers")
        self.assertEqual((server["nickname"], server["state"]), ("alice", "waiting"))
        lines = self.authority("servers").stdout.splitlines()
        place = server["addresses"][0]["address"]
        self.assertEqual(
            lines,
            [
                f"  alice  waiting      {self.identity.hex()[:16]}  {place}",
                "      It waits for the approval of this authority's operator: tell him of it.",
            ],
        )
        said = self.authority("approve", "ALICE").stdout.splitlines()
        self.assertEqual(said[0], f"Approved alice ({self.identity.hex()[:16]}...).")
        self.wait(lambda: self.answer("servers")[0]["state"] == "unreachable")
        self.assertIn("no connection", self.answer("servers")[0]["reason"])
        for command, more, state in [
            ("reject", ["--because", "too slow"], "refused"),
            ("ban", ["--because", "spam"], "banned"),
            ("unban", [], "waiting"),
        ]:
            answer = self.answer(command, self.identity.hex(), *more)
            self.assertEqual(answer["state"], state)
            if more:
                self.assertIn(f"({more[1]})", answer["reason"])

    def wait(self, true: Any) -> None:
        self.assertTrue(wait_until(true, 40.0))

    def test_selection(self):
        """By state, by name, by the beginning of an identity."""
        self.post(self.descriptor())
        self.authority("ban", "0c" * 32)
        self.assertEqual(len(self.answer("servers")), 2)
        for arguments, count in [
            (("--state", "banned"), 1),
            (("--state", "banned", "--state", "waiting"), 2),
            (("alice",), 1),
            (("0c0c",), 1),
            (("nobody",), 0),
        ]:
            self.assertEqual(len(self.answer("servers", *arguments)), count, arguments)
        self.assertEqual(self.authority("servers", "nobody").stdout, "No servers.\n")

    def test_refused_newcomer(self):
        """Who was refused is shown with the reason, and can be let in by name."""
        self.change("exit-waiting-time = 0 s", "exit-waiting-time = 9 days")
        self.authority("reload")
        octets = self.descriptor(exits=(Exit(name="smtp", module="smtp", max_message=9),))
        self.assertEqual(str(self.receipt(self.post(octets)).state), "refused")
        (server,) = self.answer("servers")
        self.assertIn("begin without exits here", server["reason"])
        self.authority("approve", "alice", "--exit")
        self.assertNotEqual(str(self.receipt(self.post(octets)).state), "refused")

    def test_unknown(self):
        """Nobody of that name; 64."""
        done = self.authority("approve", "nobody", code=None)
        self.refused(done, 64, "knows no server nobody")

    def test_status(self):
        """OK first; then who it is, where it listens, what comes next and who signed what."""
        self.wait(lambda: "last-consensus" in self.answer("status"))
        self.wait(lambda: not self.answer("status")["attention"])
        lines = self.authority("status").stdout.splitlines()
        self.assertEqual(lines[:2], ["OK", ""])
        for line in ("nickname: moria", f"listeners: 127.0.0.1:{self.port}", "figures: none"):
            self.assertIn(line, lines)
        status = self.answer("status")
        self.assertEqual(status["pids"], [lock.holder(self.home)])
        self.assertEqual(status["join-line"], self.made["join-line"])
        self.assertEqual(status["last-consensus"]["signed"], ["moria"])
        self.assertIn(status["next-consensus"]["phase"], ("waiting", "voting", "signing"))
        self.assertEqual(list(status["authorities"]), ["moria"])

    def test_reload(self):
        """What is good counts at once; what is not leaves everything as it was."""
        pid = lock.holder(self.home)
        self.change("nickname = moria", "nickname = other")
        self.change("listen = 127.0.0.1", "listen = 127.0.0.2")
        answer = self.answer("reload")
        self.assertEqual(answer, {"restart": ["[Authority] listen"]})
        self.assertEqual(self.answer("status")["nickname"], "other")
        self.change("nickname = other", "nickname = 1")
        done = self.authority("reload", code=None)
        self.refused(done, 78, "authority.conf:", "[Authority] nickname")
        self.change("nickname = 1", "nickname = third")
        figures = self.home / "figures.json"
        with self.config.open("a") as file:
            file.write("[Figures]\nfiles = figures.json\n")
        figures.write_text("{")
        done = self.authority("reload", code=None)
        self.refused(done, 78, "figures.json cannot be used")
        self.assertEqual(self.answer("status")["nickname"], "other")
        figures.write_text(json.dumps({"operator": "op", "figures": {}}))
        self.authority("reload")
        status = self.answer("status")
        self.assertEqual((status["nickname"], status["figures"][0]["operator"]), ("third", "op"))
        self.assertEqual(lock.holder(self.home), pid)

    def test_start_and_stop(self):
        """A second start is refused; a stop returns when it has ended."""
        done = self.authority("start", code=None)
        self.refused(done, 73, f"in use by process {lock.holder(self.home)}")
        self.assertEqual(self.authority("stop").stdout, "The authority has stopped.\n")
        self.assertIsNone(lock.holder(self.home))
        for command in (["status"], ["servers"], ["approve", "x"], ["reload"], ["stop"]):
            done = self.authority(*command, code=None)
            self.refused(done, 69, "No authority runs from", "mixminion authority start")
        again = self.authority("start")
        self.assertTrue(re.fullmatch(r"The authority runs, process \d+\.\n", again.stdout))

    def test_restart(self):
        """Decisions and descriptors outlive it."""
        self.post(self.descriptor())
        self.authority("ban", "alice", "--because", "spam")
        self.authority("stop")
        self.authority("start")
        (server,) = self.answer("servers")
        self.assertEqual((server["state"], server["note"]), ("banned", "spam"))


class KeyTests(SyncTestCase):
    def test_roles(self):
        """A server's certificate is none for an authority's key."""
        folder = Path(self.mktemp()).absolute()
        private.make_folder(folder / "keys")
        keys = AuthorityKeys(folder)
        secret, public = ed25519.generate()
        signing, signing_public = ed25519.generate()
        private.write(keys.identity_public, public.hex().encode())
        private.write(keys.signing, signing.hex().encode())
        for role, identity, key, begins, ends, part in [
            (Role.SERVER, secret, signing_public, 0, 100, "is not certified by this"),
            (Role.AUTHORITY, signing, signing_public, 0, 100, "is not certified by this"),
            (Role.AUTHORITY, secret, public, 0, 100, "is another one than"),
            (Role.AUTHORITY, secret, signing_public, 0, 50, "ended at 1970-01-01T00:00:50Z"),
            (Role.AUTHORITY, secret, signing_public, 60, 100, "begins only at"),
        ]:
            made = certificate.certify(role, identity, key, valid_after=begins, valid_until=ends)
            private.write(keys.certificate, made.encode())
            error = self.assertRaises(BadAuthorityKey, keys.read_signer, None, 50)
            self.assertIn(part, render(error))
        private.write(keys.certificate, b"{}")
        error = self.assertRaises(BadAuthorityKey, keys.read_signer, None, 50)
        self.assertIn("damaged certificate", render(error))
