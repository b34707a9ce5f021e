"""The fault matrix with real processes: five authorities, of which two, or three, are bad.

One network goes through all of it, a fault for each consensus; what bad authorities do is in
:mod:`tests.integration.bad_authority`.  The same on the virtual clock, with every fault and
number of authorities, is :mod:`tests.authority.test_faults`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mixminion.app.authority_rounds import DID
from mixminion.authority.schedule import Schedule
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.directory.errors import NotEnoughSignatures
from mixminion.disk import private
from mixminion.testing.authorities import PREFIX, LocalAuthorities, LocalAuthority
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.commands import PYTHON, wait_until
from mixminion.util.times import to_text
from tests.integration.bad_authority import FAULT

COUNT = 5
NEEDED = 3
INTERVAL = 10
FAR = 1800
"""Seconds by which a clock is wrong, far beyond an interval."""
ABSENT, LATE = {"absent", "late"}, {"late-signature", "no-signature"}


class Bad:
    """An authority that may be told to misbehave, and the processes that ran it."""

    def __init__(self, authority: LocalAuthority, accomplice: LocalAuthority) -> None:
        self.authority = authority
        self._homes = [authority.home, accomplice.home]
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, ahead: int = 0) -> None:
        """Start it, with a clock that is so many seconds ahead."""
        with open(self.authority.home / "output", "ab") as output:
            process = subprocess.Popen(
                [*PYTHON, "-m", "tests.integration.bad_authority", str(ahead), *self._homes],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | {"PYTHONPATH": os.getcwd()},
            )
        self._processes.append(process)

    def does(self, fault: str) -> None:
        """From now on; nothing bad where that is empty."""
        private.write(self.authority.home / FAULT, fault.encode())

    def signal(self, number: int) -> None:
        """Send one."""
        self._processes[-1].send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        for process in self._processes:
            process.kill()
            process.wait()


class Flood:
    """Bad uploads to *targets* over many connections, until it is stopped; each thread comes from
    a network of its own, as whoever floods from one is refused soon."""

    def __init__(
        self, targets: Iterable[LocalAuthority], junk: Sequence[tuple[str, bytes]]
    ) -> None:
        self.answers: set[int] = set()
        self._over = threading.Event()
        self._junk = junk
        self._threads = [
            threading.Thread(target=self._run, args=(target, f"127.{20 + 10 * n + t}.0.1"))
            for n, target in enumerate(targets)
            for t in range(3)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, target: LocalAuthority, source: str) -> None:
        idle = []
        for _ in range(20):  # connections that say nothing
            with contextlib.suppress(OSError):
                idle.append(socket.create_connection((target.host, target.port), 5, (source, 0)))
        while not self._over.is_set():
            for name, octets in self._junk:
                connection = http.client.HTTPConnection(
                    target.host, target.port, timeout=5, source_address=(source, 0)
                )
                with contextlib.suppress(OSError, http.client.HTTPException):
                    connection.request("POST", PREFIX + name, octets)
                    self.answers.add(connection.getresponse().status)
                connection.close()
        for each in idle:
            each.close()

    def stop(self) -> None:
        """No more."""
        self._over.set()
        for thread in self._threads:
            thread.join()


class BadAuthoritiesTests(SyncTestCase):
    def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        lines = [f"consensus-interval = {INTERVAL}", f"consensus-fresh = {INTERVAL}"]
        lines += [f"consensus-valid = {10 * INTERVAL}"]
        self.authorities = LocalAuthorities(folder / "authorities", COUNT, network=lines)
        self.authorities.make()
        self.identities = [self.authorities.identity(each) for each in self.authorities.all]
        *self.honest, one, other = self.authorities.all
        self.bad = [Bad(one, other), Bad(other, one)]
        self.seen: dict[int, SignedConsensus] = {}  #: what the honest ones hold, by its time
        self.client = folder / "client.conf"
        places = ",\n    ".join(self.authorities.lines())
        self.client.write_text(f"[Client]\n\n[Directory]\nauthorities =\n    {places}\n")
        self.addCleanup(self.end)

    def end(self) -> None:
        """End whatever runs."""
        for each in self.bad:
            each.kill()
        for authority in self.honest:
            authority.kill()

    # -- time ------------------------------------------------------------------------------------

    def until(self, moment: float) -> None:
        """Wait for it."""
        time.sleep(max(0.0, moment - time.time()))

    def schedule(self) -> Schedule:
        """The next consensus whose votes are not made yet, nor about to be."""
        first = int(time.time()) // INTERVAL * INTERVAL
        return next(
            found
            for n in range(4)
            if (found := Schedule(first + n * INTERVAL, INTERVAL, COUNT)).begins > time.time() + 0.5
        )

    # -- what the honest ones say ------------------------------------------------------------------

    def served(self, each: LocalAuthority) -> SignedConsensus | None:
        """The consensus that it serves, if it is there and most have signed that."""
        with contextlib.suppress(NotEnoughSignatures, ConnectionError):
            octets = each.get("consensus")
            if octets is not None:
                return SignedConsensus.verify(octets, self.identities, time.time())
        return None

    def agreed(self, at: int, who: Sequence[LocalAuthority], what: str) -> None:
        """Those hold the same consensus of that time, signed by three or more, and no other."""

        def hold() -> bool:
            found = [self.served(each) for each in who]
            return all(each is not None and each.consensus.valid_after == at for each in found)

        wait_until(hold, at + INTERVAL - time.time() - 0.5, f"{what}: not all have that of {at}")
        found = [each for each in map(self.served, who) if each is not None]
        self.assertEqual(len({each.digest for each in found}), 1, what)
        self.assertEqual(
            len(
                {
                    Envelope.decode(each.octets, PayloadType.CONSENSUS, limit=2**24).payload
                    for each in found
                }
            ),
            1,
            what,
        )
        for each in found:
            self.assertGreaterEqual(each.tally.signed, NEEDED, what)
        self.seen[at] = found[0]

    def misdeeds(self, each: LocalAuthority, other: LocalAuthority, at: int) -> set[str]:
        """What *each* says in its status that *other* did."""
        words = {sentence: word for word, sentence in DID.items()}
        told = each.ask()["authorities"][other.nickname]["misdeeds"]
        found = [text.removeprefix(f"{to_text(at)}: ") for text in told if to_text(at) in text]
        return {words[text.partition(" (")[0]] for text in found}

    def named(self, at: int, words: set[str], what: str) -> None:
        """Each honest one says of each bad one that it did one of these, and of no honest one
        that it did anything; who did nothing has no words."""
        for each in self.honest:
            for bad in self.bad:
                wait_until(
                    lambda: not words or self.misdeeds(each, bad.authority, at) & words,  # noqa: B023
                    INTERVAL / 3,
                    f"{what}: {bad.authority.nickname} is not named by {each.nickname}, but"
                    f" {each.ask()['authorities']}",
                )
            for other in self.honest:
                if other is not each:
                    self.assertEqual(self.misdeeds(each, other, at), set(), what)

    # -- the client ------------------------------------------------------------------------------

    def run_client(self, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
        """A command of the client; what it printed."""
        command = [*PYTHON, "-m", "mixminion", "--config", self.client, *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}{done.stderr}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def client_holds(self, at: int, what: str) -> None:
        """It fetches that of *at*, and has only what the honest ones had."""
        self.run_client("update")
        shown = self.run_client("directory", "show")
        known = {each.digest.hex() for each in self.seen.values()}
        self.assertEqual({each["digest"] for each in shown["held"]} - known, set(), what)
        self.assertEqual(shown["held"][0]["digest"], self.seen[at].digest.hex(), what)
        self.assertEqual(shown["evidence"], [], what)

    def verified(self, octets: bytes | None, signed: Iterable[int], code: int) -> None:
        """What the client says of a document that somebody hands it, which so many signed."""
        path = self.client.with_name("document")
        path.write_bytes(octets or b"")
        found = self.run_client("directory", "verify", path, code=code)
        self.assertEqual(found["believed"], code == 0)
        self.assertIn(found["signatures"]["signed"], signed)

    # -- one fault after the other -----------------------------------------------------------------

    def cell(
        self,
        what: str,
        named: set[str],
        during: Callable[[Schedule], object] = lambda schedule: None,
        fault: str = "",
        all_hold: bool = False,
    ) -> None:
        """One consensus with a fault."""
        schedule = self.schedule()
        for each in self.bad:
            each.does(fault)
        during(schedule)
        at = schedule.valid_after
        self.until(at + 0.2)
        who = self.authorities.all if all_hold else self.honest
        self.agreed(at, who, what)
        self.named(at, named, what)
        for each in self.bad:
            each.does("")
        self.client_holds(at, what)

    def test_one_fault_after_the_other(self):
        """Two of five are bad in every way; then three are dead, and come back."""
        for authority in self.honest:
            authority.start()
        for each in self.bad:
            each.start()
        for authority in self.authorities.all:
            wait_until(lambda: authority.get("consensus"), 60, "there is no first one")  # noqa: B023
        self.cell("all are good", set(), all_hold=True)
        self.cell("two votes each", {"equivocated"}, fault="halves")
        self.cell("a second vote at last", {"equivocated", "second-vote"}, fault="second-vote")
        self.cell("garbled", {"garbled"}, fault="garbled")
        self.cell("forged", {"other-consensus"}, self.forged, fault="forges")
        self.cell("stopped", ABSENT | LATE, self.stopped, all_hold=True)
        self.cell("flooded", set(), self.flooded)
        for moments in (-0.5, 0.5), (1.5, 2.5), (3.5, 5.1):  # before, in each round, after them
            self.cell(f"restarted {moments}", set(), self.restarted(*moments), all_hold=True)
        self.cell("clocks", {"clock"}, self.clocks)
        self.cell("dead", {"absent"}, self.dead)
        self.three_dead()

    def forged(self, schedule: Schedule) -> None:
        """The client believes what an honest one serves, and not what a bad one does."""
        good = self.honest[0].get("consensus")
        self.verified(good, range(NEEDED, COUNT + 1), 0)
        self.verified(self.bad[0].authority.get("consensus"), [2], 65)

    def stopped(self, schedule: Schedule) -> None:
        """SIGSTOP in the middle of the second round, SIGCONT after it all."""
        self.until(schedule.begins + 1.5 * schedule.length)
        for each in self.bad:
            each.signal(signal.SIGSTOP)
        self.until(schedule.valid_after)
        for each in self.bad:
            each.signal(signal.SIGCONT)

    def flooded(self, schedule: Schedule) -> None:
        """From before the votes until it is over."""
        old = self.honest[0].get(f"votes/{max(self.seen)}/{self.identities[0].hex()}") or b""
        self.assertTrue(old)
        junk = [("descriptor", os.urandom(60_000)), ("vote", b"[" * 500_000), ("vote", old)]
        junk += [("signatures", b"{}"), ("vote", old[:-9]), ("nothing", b"x" * 100)]
        flood = Flood(self.honest, junk)
        try:
            self.until(schedule.valid_after)
        finally:
            flood.stop()
        self.assertIn(400, flood.answers)

    def restarted(self, *rounds: float) -> Callable[[Schedule], None]:
        """kill -9 so many rounds after the first one's begin, and started again at once."""

        def during(schedule: Schedule) -> None:
            for each, when in zip(self.bad, rounds, strict=True):
                self.until(schedule.begins + when * schedule.length)
                each.kill()
                each.start()

        return during

    def clocks(self, schedule: Schedule) -> None:
        """One goes too fast, one too slow."""
        for each, ahead in zip(self.bad, (FAR, -FAR), strict=True):
            each.kill()
            each.start(ahead)

    def dead(self, schedule: Schedule) -> None:
        """kill -9."""
        for each in self.bad:
            each.kill()

    def follows(self, newest: SignedConsensus, last: SignedConsensus) -> bool:
        """Whether *newest* comes after *last*, perhaps with others between, of which the first
        may say that there is a gap: who just came back does not vote for *last* yet."""
        while newest.consensus.previous not in (None, last.digest):
            assert newest.consensus.previous is not None
            name = f"consensus/{newest.consensus.previous.hex()}"
            octets = self.honest[-1].get(name)  # who always ran
            assert octets is not None
            newest = SignedConsensus.verify(octets, self.identities, time.time())
        return newest.consensus.previous == last.digest or newest.consensus.gap

    def three_dead(self) -> None:
        """There is no other consensus, and the client goes on with the last one; when they are
        back, there is one without anybody's help."""
        last = max(self.seen)
        third, *others = self.honest
        schedule = self.schedule()
        third.kill()
        self.until(schedule.valid_after + 1)
        for each in others:
            found = self.served(each)
            assert found is not None
            self.assertEqual(found.consensus.valid_after, last)
        self.client_holds(last, "three of five are dead")
        for bad in self.bad:
            bad.start()
        third.start()
        self.agreed(self.schedule().valid_after, self.authorities.all, "they came back")
        newest = max(self.seen)
        self.assertTrue(self.follows(self.seen[newest], self.seen[last]))
        self.client_holds(newest, "they came back")
