"""Inside a server of the laboratory: the named steps of a packet, and death at one of them.

A file ``arm.NAME`` in ``$CRASH_FOLDER`` says ``STEP MINIMUM``: the server NAME kills itself
when it next comes to that step with at least so many packets unacknowledged.  What it had
reached goes to ``trace.NAME``: ``killed STEP UNACKNOWLEDGED``, ``pooled TAG ID`` for each
record that was committed, ``answered MESSAGE-ID`` for each mail whose acceptance was heard.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from mixminion.exits.smtp import SmtpExit
from mixminion.interfaces import Message, Outcome, OutcomeKind
from mixminion.mix.server import MixServer
from mixminion.mmtp.server import ServerSession
from mixminion.store import Store
from mixminion.store.jobs import Job
from mixminion.store.spool import Spool
from mixminion.store.transaction import Transaction
from tests.integration.crash import wrong

TAKEN_IN = "taken-in"  #: on disk, not acknowledged
ACKNOWLEDGED = "acknowledged"
COMMITTED = "committed"  #: any group, before anybody was told
UNWRAPPED = "unwrapped"  #: a worker has answered, nothing is written
POOLED = "pooled"
RELEASED = "released"
HANDED_OVER = "handed-over"  #: the far side has accepted, nothing is deleted
DELETED = "deleted"
RANDOM = "random"

LATER = (UNWRAPPED, POOLED, RELEASED, HANDED_OVER, DELETED)
STEPS = (TAKEN_IN, ACKNOWLEDGED, COMMITTED, *LATER, RANDOM)

GATHERING = 0.3  #: seconds a group waits at most until enough packets are unacknowledged
PATIENCE = 4.0  #: seconds after which a step that does not come is come to anyhow
ADMITTED = 8  #: packets that are taken in while a later step is waited for


class Steps:
    """What this server has come to, and whether it is to die there."""

    def __init__(self, folder: Path, name: str) -> None:
        self._arm = folder / f"arm.{name}"
        self._trace = os.open(folder / f"trace.{name}", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self._timer: threading.Timer | None = None
        self._admitted = 0
        self.server: MixServer | None = None

    def armed(self) -> tuple[str, int] | None:
        """The step to die at, and with how many packets unacknowledged."""
        try:
            step, minimum = self._arm.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        if self._timer is None:
            late = PATIENCE if step != RANDOM else random.uniform(0.02, 0.4)
            self._timer = threading.Timer(late, self._late, (step, int(minimum)))
            self._timer.daemon = True
            self._timer.start()
        return step, int(minimum)

    def unacknowledged(self) -> int:
        """Packets that have arrived and were not answered."""
        if self.server is None:
            return 0
        sessions: list[Any] = list(self.server.sessions.sessions)
        return sum(session._machine.unanswered for session in sessions)

    def come_to(self, step: str) -> None:
        """A step."""
        armed = self.armed()
        if armed is not None and armed[0] == step and self.unacknowledged() >= armed[1]:
            self._die(step)

    def gather(self) -> None:
        """Before a group is worked on: let packets arrive, as on a slow disk."""
        armed = self.armed()
        if armed is None or armed[0] in LATER:
            return
        end = time.monotonic() + GATHERING
        while self.unacknowledged() < armed[1] and time.monotonic() < end:
            time.sleep(0.005)

    def admits(self) -> bool:
        """Whether a packet is taken in.  While a later step is waited for, few are, and only
        behind enough others that wait for the disk."""
        armed = self.armed()
        if armed is None or armed[0] not in LATER:
            return True
        if self.unacknowledged() < armed[1]:
            return False
        self._admitted += 1
        return self._admitted <= ADMITTED

    def tell(self, line: str) -> None:
        """A line of the trace."""
        os.write(self._trace, line.encode() + b"\n")

    def _late(self, step: str, minimum: int) -> None:
        while self.unacknowledged() < minimum:
            time.sleep(0.005)
        self._die(RANDOM if step == RANDOM else "late")

    def _die(self, step: str) -> None:
        self.tell(f"killed {step} {self.unacknowledged()}")
        os.kill(os.getpid(), signal.SIGKILL)


def install() -> None:
    """Watch this process's steps."""
    fault = os.environ.get("CRASH_FAULT")
    if fault:
        wrong.FAULTS[fault]()
    config = Path(sys.orig_argv[sys.orig_argv.index("--config") + 1])
    steps = Steps(Path(os.environ["CRASH_FOLDER"]), config.parent.name)
    _watch_server(steps)
    _watch_store(steps)
    _watch_spool(steps)
    _watch_exit(steps)


def _watch_server(steps: Steps) -> None:
    server: Any = MixServer
    session: Any = ServerSession
    open, offer, answered = server.open, server._offer, session._answered

    def opened(self: MixServer) -> None:
        steps.server = self
        open(self)

    def offered(self: MixServer, *what: Any) -> None:
        steps.come_to(RELEASED)
        offer(self, *what)

    def answer(self: ServerSession, *what: Any) -> None:
        answered(self, *what)
        steps.come_to(ACKNOWLEDGED)

    server.open, server._offer, session._answered = opened, offered, answer


def _watch_store(steps: Steps) -> None:
    store: Any = Store
    take_in, unwrapped, delete = store.take_in, store.unwrapped, store.delete

    def took_in(self: Store, packet: bytes) -> Deferred[int]:
        if not steps.admits():
            return Deferred()
        return after(take_in(self, packet), TAKEN_IN)

    def pool(self: Store, what: Any) -> Any:
        steps.come_to(UNWRAPPED)
        return after(unwrapped(self, what), POOLED)

    def remove(self: Store, ids: Any) -> Any:
        steps.come_to(HANDED_OVER)
        return after(delete(self, ids), DELETED)

    def after(deferred: Deferred[Any], step: str) -> Deferred[Any]:
        def done(result: Any) -> Any:
            steps.come_to(step)
            return result

        return deferred.addCallback(done)

    store.take_in, store.unwrapped, store.delete = took_in, pool, remove


def _watch_spool(steps: Steps) -> None:
    spool: Any = Spool
    perform = spool.perform

    def work(self: Spool, jobs: list[Job]) -> None:
        steps.gather()
        perform(self, jobs)
        lines = []
        for job in jobs:
            if job.function is Transaction.unwrapped and job.error is None:
                for (step, _), verdict in zip(job.argument, job.result, strict=True):
                    if isinstance(verdict, int):
                        lines.append(f"pooled {step.tag.hex()} {verdict}")
        if lines:
            steps.tell("\n".join(lines))
        steps.come_to(COMMITTED)

    spool.perform = work


def _watch_exit(steps: Steps) -> None:
    exit: Any = SmtpExit
    deliver = exit.deliver

    async def delivered(self: SmtpExit, message: Message) -> Outcome:
        outcome: Outcome = await deliver(self, message)
        if outcome.kind is OutcomeKind.DELIVERED:
            steps.tell(f"answered {message.message_id}")
        return outcome

    exit.deliver = delivered
