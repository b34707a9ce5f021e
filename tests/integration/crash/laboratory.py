"""Real processes under load, killed at every named step with everything un-synced thrown away.

Servers die by their own hand (:mod:`steps`) when enough packets are unacknowledged; workers,
the SMTP server and senders' programs are killed from here.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from itertools import cycle
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from mixminion.disk import private
from mixminion.testing.commands import NetworkError, wait_until
from mixminion.testing.directories import ByHand
from mixminion.testing.network import LocalNetwork, Mix
from tests.integration.crash import steps
from tests.integration.crash.disk import Disk
from tests.integration.crash.load import Load

ROOT = Path(__file__).resolve().parents[3]
HOOKS = Path(__file__).resolve().with_name("hooks")
LOGS = ("mixminion.log",)
QUEUED = 180  #: packets that wait for a server that is to be killed, at least
HUNTERS = 2  #: servers that are down at a time
EXIT = ("retry-first = 1 s", "retry-longest = 4 s")


@dataclass(frozen=True)
class Plan:
    """How much is done, and what is wrong with the servers or the disk on purpose."""

    mails: int = 300
    kills: int = 20  #: of servers, with enough packets unacknowledged
    unacknowledged: int = 100
    steps: Sequence[str] = steps.STEPS
    others: bool = True  #: kill workers, the SMTP server and senders, too
    torn: bool = True  #: half of the power losses leave a part of what was not synced
    swallow: bool = False
    fault: str = ""
    quiet: float = 60.0  #: seconds without any mail after which what is missing is lost
    seed: int = 1


@dataclass
class Figures:
    """What came out."""

    mails: int = 0  #: acknowledged by a server or kept by a client
    arrived: int = 0
    lost: set[str] = field(default_factory=set)
    doubled: int = 0  #: tags with two pooled records
    renamed: int = 0  #: mails under two Message-IDs
    duplicates: int = 0  #: mails that came more than once, under one Message-ID
    cut: int = 0  #: of those, copies whose acceptance the exit did not live to hear
    unexplained: int = 0  #: of those, without a kill of exit or MTA between the copies
    left: int = 0  #: records in stores when everything should be over
    broken: int = 0  #: servers that did not start again
    why: str = ""  #: what the last of them said
    kills: Counter[str] = field(default_factory=Counter)  #: by step, or by what was killed
    unacknowledged: list[int] = field(default_factory=list)  #: at each kill of a server
    repeated: int = 0  #: packets sent again though they were acknowledged
    pages: int = 0  #: thrown away
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether what was promised is kept."""
        wrong = self.lost or self.doubled or self.renamed or self.unexplained
        return not (wrong or self.left or self.broken)

    def lines(self) -> Iterator[str]:
        """For people."""
        least = min(self.unacknowledged, default=0)
        yield f"mails {self.mails}, arrived {self.arrived}, lost {len(self.lost)}"
        yield f"tags with two pooled records {self.doubled}, left in stores {self.left}"
        yield (
            f"mails under two Message-IDs {self.renamed}, handed over again {self.duplicates}: "
            f"answer cut {self.cut}, heard and not written down {self.duplicates - self.cut}, "
            f"neither exit nor MTA killed between {self.unexplained}"
        )
        yield f"servers killed {len(self.unacknowledged)}, unacknowledged at least {least}"
        yield "killed: " + ", ".join(f"{what} {n}" for what, n in sorted(self.kills.items()))
        yield (
            f"sent again {self.repeated}, pages thrown away {self.pages}, "
            f"servers that did not start again {self.broken}, {self.seconds:.0f} s"
        )
        if self.why:
            yield self.why


class _Sender:
    """A sender's program, in one life after the other."""

    def __init__(self, network: LocalNetwork, name: str) -> None:
        self.name = name
        self.home = network.folder / name
        private.make_folder(self.home)
        self._config = self.home / "mixminion.conf"
        private.write(self._config, private.read(network.client_config))
        self._next = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.kept: set[str] = set()

    def start(self, *, flush: bool = False) -> None:
        command = [sys.executable, "-m", "tests.integration.crash.sending", str(self._config)]
        command += [self.name, str(self._next)] + (["--flush"] if flush else [])
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self.hear()

    def hear(self) -> int:
        """Wait for its end, and take note of what it kept; its exit code."""
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout.read().decode().splitlines():
            text = line.removeprefix("kept ")
            self.kept.add(text)
            self._next = max(self._next, int(text.rpartition("-")[2]) + 1)
        self._next += 100  # beyond what it may have begun
        return self._process.wait()


class Laboratory:
    """One run in *folder*."""

    def __init__(self, reactor: Any, folder: Path, plan: Plan) -> None:
        self._reactor = reactor
        self._folder = folder.absolute()
        self._plan = plan
        self._dice = random.Random(plan.seed)
        self._figures = Figures()
        self._down: set[Mix] = set()
        self._steps = cycle(plan.steps)
        self._exit_kills: list[float] = []
        self._killed: Counter[Mix] = Counter()
        self._arrived: dict[str, tuple[str, str, float]] = {}

    async def run(self) -> Figures:
        """Do it."""
        began = time.monotonic()
        self._folder.mkdir(parents=True, mode=0o700)
        directory = ByHand()
        network = self._network = LocalNetwork(
            self._folder / "network", exit_lines=EXIT, directory=directory
        )
        await deferToThread(network.make)
        self._senders = [_Sender(network, f"sender{n}") for n in (1, 2)] * self._plan.others
        self._disk = await deferToThread(
            Disk, network.folder, self._folder / "shadow", swallow=self._plan.swallow
        )
        self._load = Load(self._reactor, directory.signed.view())
        with self._environment():
            try:
                await deferToThread(network.start)
                for sender in self._senders:
                    sender.start()
                await self._all(self._hunt(n == 0) for n in range(HUNTERS))
                await self._finish()
                await self._judge()
            finally:
                await self._load.close()
                for sender in self._senders:
                    with suppress(ProcessLookupError):
                        sender.kill()
                await deferToThread(network.stop)
        self._figures.seconds = time.monotonic() - began
        return self._figures

    # -- killing -----------------------------------------------------------------------------

    async def _hunt(self, others: bool) -> None:
        """Kill one server after the other and, with *others*, now and then something else."""
        figures, plan = self._figures, self._plan
        for n in cycle(range(60)):
            if len(figures.unacknowledged) >= plan.kills or figures.broken:
                return
            if plan.others and others and n % 3 == 1:
                await self._kill_other((n // 3) % 3)
            await self._kill_server()

    async def _kill_server(self) -> None:
        mix = self._dice.choice([mix for mix in self._network.mixes if mix not in self._down])
        self._down.add(mix)
        arm = self._folder / f"arm.{mix.nickname}"
        arm.write_text(f"{next(self._steps)} {self._plan.unacknowledged}")
        try:
            while mix.pid is not None:
                await self._load.top_up(mix.nickname, QUEUED)
                await self._sleep(0.02)
        finally:
            arm.unlink()
        self._note(mix)
        torn = self._dice if self._plan.torn and self._dice.random() < 0.5 else None
        self._figures.pages += await deferToThread(self._disk.lose, mix.home, torn, LOGS)
        try:
            await deferToThread(mix.start)
        except NetworkError as error:
            self._figures.broken += 1
            self._figures.why = str(error)
        self._load.feeds[mix.nickname].repeat(self._dice)
        self._down.discard(mix)

    def _note(self, mix: Mix) -> None:
        if mix.exit:
            self._exit_kills.append(time.time())
        # Not the trace's last line: another thread may get one in before the signal arrives.
        killed = [line.split() for line in self._trace(mix) if line.startswith("killed ")]
        if len(killed) == self._killed[mix]:
            raise NetworkError(f"{mix.nickname} ended by itself; see {mix.home / 'log'}")
        self._killed[mix] = len(killed)
        _, step, unacknowledged = killed[-1]
        self._figures.kills[step] += 1
        self._figures.unacknowledged.append(int(unacknowledged))

    async def _kill_other(self, which: int) -> None:
        name = ("worker", "SMTP server", "sender")[which]
        done = await deferToThread((self._kill_worker, self._kill_relay, self._kill_sender)[which])
        self._figures.kills[name] += done

    def _kill_worker(self) -> bool:
        for mix in self._dice.sample(self._network.mixes, len(self._network.mixes)):
            with suppress(Exception):
                _, worker, *_ = mix.ask("status")["pids"]
                os.kill(worker, signal.SIGKILL)
                return True
        return False

    def _kill_relay(self) -> bool:
        pid = int((self._network.folder / "smtp.pid").read_text())
        self._exit_kills.append(time.time())
        os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
        self._network.start_relay()
        return True

    def _kill_sender(self) -> bool:
        sender = self._dice.choice(self._senders)
        sender.kill()
        torn = self._dice if self._plan.torn and self._dice.random() < 0.5 else None
        self._figures.pages += self._disk.lose(sender.home, torn)
        sender.start()
        return True

    # -- the end -----------------------------------------------------------------------------

    async def _finish(self) -> None:
        """Send the rest, and wait until everything has arrived, or nothing does any more."""
        load, plan = self._load, self._plan
        if self._figures.broken:
            return
        for nickname in cycle(load.feeds):
            if load.built >= plan.mails:
                break
            await load.top_up(nickname, len(load.feeds[nickname]) + 16)
        for sender in self._senders:
            await deferToThread(sender.kill)
            await deferToThread(self._disk.lose, sender.home)
            sender.start(flush=True)
        await self._settle(lambda: load.waiting == 0)
        for sender in self._senders:
            if await deferToThread(sender.hear):
                raise NetworkError(f"{sender.name} could not hand its mails over")
        await self._settle(lambda: self._expected() <= self._texts())

    async def _settle(self, over: Callable[[], bool]) -> None:
        progress, since = (0, 0), time.monotonic()
        while not over() and time.monotonic() - since < self._plan.quiet:
            await deferToThread(self._collect)
            now = len(self._arrived), self._load.waiting
            if now != progress:
                progress, since = now, time.monotonic()
            await self._sleep(0.2)

    def _collect(self) -> None:
        """Read the mails that are new."""
        for path in self._network.mails():
            if path.name not in self._arrived:
                mail = message_from_bytes(path.read_bytes())
                self._arrived[path.name] = (
                    str(mail.get_payload()).strip(),
                    str(mail["Message-ID"]),
                    float(".".join(path.name.split(".")[:2])),
                )

    def _texts(self) -> set[str]:
        return {text for text, _, _ in self._arrived.values()}

    def _expected(self) -> set[str]:
        kept: set[str] = set().union(*(sender.kept for sender in self._senders))
        return kept | {text.decode() for text in self._load.acknowledged}

    async def _judge(self) -> None:
        figures = self._figures
        expected = self._expected()
        figures.mails = len(expected)
        figures.arrived = len(self._texts())
        figures.lost = expected - self._texts()
        figures.repeated = sum(feed.again for feed in self._load.feeds.values())
        names = {(text, name) for text, name, _ in self._arrived.values()}
        figures.renamed = sum(n > 1 for n in Counter(text for text, _ in names).values())
        times: dict[str, list[float]] = {}
        for _, name, at in self._arrived.values():
            times.setdefault(name, []).append(at)
        heard: Counter[str] = Counter()
        for mix in self._network.mixes:
            lines = [line.split() for line in self._trace(mix)]
            pooled = {(line[1], line[2]) for line in lines if line[0] == "pooled"}
            figures.doubled += sum(n > 1 for n in Counter(tag for tag, _ in pooled).values())
            heard.update(line[1] for line in lines if line[0] == "answered")
        for name, copies in times.items():
            if len(copies) > 1:
                figures.duplicates += len(copies) - 1
                figures.cut += max(0, len(copies) - heard[name])
                first, last = min(copies), max(copies)
                killed = any(first - 1 <= at <= last for at in self._exit_kills)
                figures.unexplained += not killed
        if figures.good:
            figures.left = await deferToThread(self._left)

    def _left(self) -> int:
        def held() -> int:
            stores = [mix.ask("status")["store"] for mix in self._network.mixes]
            return sum(int(store["incoming"]) + int(store["pooled"]) for store in stores)

        with suppress(NetworkError):
            wait_until(lambda: held() == 0, 60.0, "packets are left")
        return held()

    # -- small things ------------------------------------------------------------------------

    def _trace(self, mix: Mix) -> list[str]:
        path = self._folder / f"trace.{mix.nickname}"
        return path.read_text().splitlines() if path.exists() else []

    async def _sleep(self, seconds: float) -> None:
        await deferLater(self._reactor, seconds)

    async def _all(self, what: Iterator[Coroutine[Any, Any, None]]) -> None:
        running = [Deferred.fromCoroutine(each) for each in what]
        await DeferredList(running, fireOnOneErrback=True, consumeErrors=True)

    @contextmanager
    def _environment(self) -> Iterator[None]:
        """For the processes that the network starts."""
        paths = [str(HOOKS), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        added = self._disk.environment | {
            "CRASH_FOLDER": str(self._folder),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        if self._plan.fault:
            added["CRASH_FAULT"] = self._plan.fault
        before = dict(os.environ)
        os.environ.update(added)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
