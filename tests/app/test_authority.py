"""Authorities under twistd: real processes, three of them, one consensus every ten seconds."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from mixminion.app import authority_configuration as configuration
from mixminion.app.authority_keys import AuthorityKeys, make_signing_key
from mixminion.app.authority_status import Health
from mixminion.authority.register import check
from mixminion.crypto import sign as ed25519
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.consensus import USABLE
from mixminion.disk.lock import HomeLock
from mixminion.net import listeners
from mixminion.testing.authorities import LocalAuthorities, LocalAuthority
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.commands import NetworkError, wait_until
from mixminion.testing.network import LocalNetwork
from mixminion.util.hostport import HostPort

SECONDS = 60.0
DAY = 86_400


class AuthoritiesCase(SyncTestCase):
    """Some authorities; whatever runs is ended by its pid."""

    count = 3

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.authorities = LocalAuthorities(self.folder, self.count)
        self.authorities.make()
        self.addCleanup(self.end)

    def end(self) -> None:
        for each in self.authorities.all:
            each.kill()

    def wait(self, true: Any, complaint: str, seconds: float = SECONDS) -> None:
        wait_until(true, seconds, complaint)


class AgreementTests(AuthoritiesCase):
    def identities(self) -> list[bytes]:
        return [self.authorities.identity(each) for each in self.authorities.all]

    def consensus(self, each: LocalAuthority) -> SignedConsensus | None:
        """What an authority serves, if a majority signed it."""
        octets = each.get("consensus")
        if octets is None:
            return None
        return SignedConsensus.verify(octets, self.identities(), time.time())

    def agreed(self, listed: int, after: int = 0) -> list[SignedConsensus] | None:
        """One document at all of them, newer than *after*, signed by all, with so many servers."""
        found = [self.consensus(each) for each in self.authorities.all]
        documents = [each for each in found if each is not None]
        if len(documents) < self.count or len({each.digest for each in documents}) > 1:
            return None
        document = documents[0].consensus
        if document.valid_after <= after or len(document.servers) != listed:
            return None
        if any(each.tally.signed < self.count for each in documents):
            return None
        return documents

    def test_agree(self):
        """Three real authorities: an empty network, a server that is published by plain HTTP and
        approved at each while all run on, one that dies and comes back, a change of parameters."""
        self.authorities.start()
        pids = [each.pid for each in self.authorities.all]
        self.wait(lambda: self.agreed(0), "there is no first consensus")

        server = LocalNetwork(self.folder / "network", mixes=1)
        server.make()
        self.addCleanup(server.stop)
        server.start_mixes()
        (mix,) = server.mixes
        self.assertEqual(self.authorities.publish(mix.descriptor), ["waiting"] * 3)
        for each in self.authorities.all:
            self.assertTrue([s for s in each.ask()["attention"] if "1 new server waits" in s])
            each.run("approve", mix.nickname)
        self.wait(lambda: self.agreed(1), "the server is not listed")
        documents = self.agreed(1)
        assert documents is not None
        signed = documents[0]
        (listed,) = signed.consensus.servers
        self.assertEqual((listed.nickname, listed.flags), (mix.nickname, (USABLE,)))
        self.assertEqual([str(place) for place in listed.addresses], [mix.address])
        self.assertEqual([each.pid for each in self.authorities.all], pids)
        for each in self.authorities.all:
            keys = each.get(f"keys/{signed.consensus.key_periods[0].keys.hex()}")
            self.assertIn(b'"keys":[{"identity"', keys or b"")
            self.assertEqual(self.authorities.publish(mix.descriptor), ["listed"] * 3)

        first, *others = self.authorities.all
        first.kill()
        at = signed.consensus.valid_after
        self.wait(
            lambda: any(
                (found := self.consensus(each)) is not None and found.consensus.valid_after > at
                for each in others
            ),
            "two of three do not go on",
        )
        first.start()
        text = [each.config.read_text() for each in self.authorities.all]
        for each, before in zip(self.authorities.all, text, strict=True):
            each.config.write_text(before.replace("[Network]\n", "[Network]\nfragments = 7\n"))
            each.run("reload")
        self.wait(
            lambda: (found := self.agreed(1, at)) and found[0].consensus.parameters.fragments == 7,
            "the parameter does not change",
        )
        statuses = [each.ask() for each in self.authorities.all]
        self.assertEqual([status["servers"] for status in statuses], [{"listed": 1}] * 3)
        self.assertEqual([each.pid for each in others], pids[1:])


class RefusedTests(AuthoritiesCase):
    """What keeps an authority from starting: a documented code, one sentence."""

    count = 1

    def refused(self, code: int, *parts: str) -> None:
        (each,) = self.authorities.all
        error = self.assertRaises(NetworkError, each.start)
        said = str(error)
        self.assertIn(f"ended with {code}:", said)
        for part in parts:
            self.assertIn(part, said)
        self.assertNotIn("Traceback", said)
        self.assertIsNone(each.pid)

    @property
    def one(self) -> LocalAuthority:
        return self.authorities.all[0]

    def test_configuration(self):
        """Keys that nobody knows, with their line."""
        with self.one.config.open("a") as file:
            file.write("[Log]\nlevle = info\n")
        self.refused(78, "[Log] levle")

    def test_open_key(self):
        """A key that others could read."""
        key = self.one.home / "keys" / "signing.key"
        key.chmod(0o640)
        self.refused(77, f"chmod 600 {key}")

    def test_missing_key(self):
        """A key that is not there."""
        (self.one.home / "keys" / "signing.key").unlink()
        self.refused(78, "signing.key is missing", "mixminion authority init")

    def test_ended_key(self):
        """A signing key that has ended."""
        keys = AuthorityKeys(self.one.home)
        secret = bytes.fromhex(keys.identity.read_text())
        make_signing_key(keys, secret, None, now=time.time() - 9 * DAY, days=8)
        self.refused(78, "signing key ended at", "mixminion authority certify")

    def test_foreign_key(self):
        """A signing key of another identity."""
        keys = AuthorityKeys(self.one.home)
        make_signing_key(keys, ed25519.generate()[0], None, now=time.time(), days=8)
        self.refused(78, "is not certified by this authority's identity")

    def test_port(self):
        """A port that another program has."""
        taken = listeners.bind(HostPort(self.one.host, self.one.port))
        self.addCleanup(taken.close)
        self.refused(69, f"Cannot listen on {self.one.host}:{self.one.port}")

    def test_home(self):
        """A home that is held."""
        held = HomeLock(self.one.home)
        held.acquire()
        self.addCleanup(held.release)
        error = self.assertRaises(NetworkError, self.one.start)
        self.assertIn(f"ended with 73:\nmixminion: The home {self.one.home} is in use by process "
                      f"{os.getpid()}", str(error))  # fmt: skip

    def test_register(self):
        """A register of a later version."""
        import sqlite3

        path = self.one.home / "register.sqlite"
        check(path)
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        self.refused(73, "was written by a newer version")

    def test_broken_figures(self):
        """Broken figures do not keep it from starting; the status says so."""
        with self.one.config.open("a") as file:
            file.write("[Figures]\nfiles = figures.json\n")
        self.one.start()
        self.assertIn("figures.json cannot be used", " ".join(self.one.ask()["attention"]))


class FailedTests(AuthoritiesCase):
    count = 1

    def test_after_the_fork(self):
        """What only the daemon can find wrong ends its start at once; the log says why, and once
        it is mended the next start works."""
        (one,) = self.authorities.all
        control = one.home / "control"
        control.mkdir()
        error = self.assertRaises(NetworkError, one.start)
        log = configuration.places(configuration.load(one.config)).log
        self.assertIn("ended with 69:", str(error))
        self.assertIn(f"ended while it started; the reason is in {log}.", str(error))
        self.assertNotIn("Traceback", str(error))
        self.wait(lambda: one.pid is None, "it did not end")
        text = log.read_text()
        self.assertEqual(text.count("The authority could not start."), 1)
        self.assertNotIn("Nobody caught", text)
        control.rmdir()
        one.start()


class HungUpTests(AuthoritiesCase):
    count = 1

    def test_reload(self):
        """SIGHUP reads everything again; what is broken is in the log, and changes nothing."""
        (one,) = self.authorities.all
        one.start()
        pid = one.pid
        assert pid is not None
        text = one.config.read_text()
        one.config.write_text(text.replace("nickname = authority1", "nickname = other"))
        os.kill(pid, signal.SIGHUP)
        self.wait(lambda: one.ask()["nickname"] == "other", "it is not read")
        one.config.write_text("[Authority\n")
        os.kill(pid, signal.SIGHUP)
        log = one.home / "log" / "authority.log"
        self.wait(lambda: "Nothing was changed." in log.read_text(), "nothing is said")
        self.assertEqual((one.ask()["nickname"], one.pid), ("other", pid))
        one.stop()
        self.assertNotIn("Traceback", log.read_text())


class HealthTests(SyncTestCase):
    def test_attention(self):
        """One sentence for each thing there is to do; the most urgent first."""
        well = Health(ready=True, signing_ends=100 * DAY)
        self.assertEqual(list(well.attention(0)), [])
        for health, part in [
            (Health(ready=False, signing_ends=100 * DAY), "not ready yet"),
            (Health(ready=True, signing_ends=13 * DAY), "ends at 1970-01-14T00:00:00Z: make"),
            (Health(ready=True, signing_ends=0), "ended at 1970-01-01T00:00:00Z, this"),
            (Health(ready=True, signing_ends=100 * DAY, waiting=1), "1 new server waits for"),
            (Health(ready=True, signing_ends=100 * DAY, waiting=2), "2 new servers wait for"),
            (Health(ready=True, signing_ends=100 * DAY, complaint="X."), "X. The last good"),
            (Health(ready=True, signing_ends=100 * DAY, stale=["op"]), "figures of op are too old"),
            (Health(ready=True, signing_ends=100 * DAY, problems=["Y."]), "Y."),
        ]:
            (said,) = health.attention(0)
            self.assertIn(part, said)
