"""A network on a virtual clock in which one mix is killed at the n-th thing it does.

Nobody lists the moments: every call of a mix to its clock, every octet string to or from a
socket and every group of its store is one, and n goes up until a run has no n-th.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mixminion.store import REPLAY, Step
from mixminion.store.jobs import Job
from mixminion.store.transaction import Transaction
from mixminion.testing.process import Process
from mixminion.testing.virtual import VirtualNetwork
from mixminion.testing.virtualmix import VirtualMix

MESSAGES = 6
COMMIT = 0.005  #: seconds, more than an answer needs on the wire
PATIENCE = 200  #: looks, of five virtual seconds and more, at whether everything has arrived


@dataclass
class Outcome:
    """What is wrong after a run, and whether it met its n-th moment."""

    met: bool = False
    moment: str = ""
    lost: set[bytes] = field(default_factory=set)
    renamed: set[bytes] = field(default_factory=set)  #: arrived under two Message-IDs
    doubled: int = 0  #: tags with two pooled records
    untagged: int = 0  #: records were pooled, and their tag is not known
    left: int = 0  #: records in a store when everything should be over
    pooled: int = 0  #: tags with pooled records, at all mixes
    repeated: int = 0  #: mails that were handed over more than once

    @property
    def good(self) -> bool:
        """Whether what was promised is kept; a hand-over may be repeated."""
        wrong = self.lost or self.renamed or self.doubled or self.untagged or self.left
        return not wrong


class Ledger:
    """What a mix's store has committed: the records pooled for each tag."""

    def __init__(self) -> None:
        self.pooled: dict[tuple[int, bytes], list[int]] = {}

    def committed(self, jobs: list[Job]) -> None:
        """A group has been committed."""
        for job in jobs:
            if job.function is Transaction.unwrapped and job.error is None:
                for (step, _), verdict in zip(job.argument, job.result, strict=True):
                    if isinstance(verdict, int):
                        self.pooled.setdefault((step.key, step.tag), []).append(verdict)


class Run:
    """One run: messages through three mixes, of which *victim* is killed at its *n*-th moment
    and, if it comes to that, at the *again*-th after its next start."""

    def __init__(self, folder: Path, victim: int, n: int, again: int = 0) -> None:
        self._network = VirtualNetwork(folder, 3, commit=COMMIT)
        self._victim = self._network.mixes[victim]
        self._ledgers = {mix.host: Ledger() for mix in self._network.mixes}
        self._moments = [moment for moment in (n, again) if moment]
        self._passed = 0
        self._outcome = Outcome()

    def run(self) -> Outcome:
        """Do it."""
        network = self._network
        self._revive()
        texts = [b"message %d" % n for n in range(MESSAGES)]
        packets = [network.packet(network.mixes, text) for text in texts]
        self._send(packets)
        self._wait_for(texts)
        self._send(packets)  # as a sender does whose acknowledgements were lost
        network.clock.advance(60)
        self._moments.clear()
        self._revive()
        network.clock.advance(60)
        self._judge(texts)
        network.stop()
        return self._outcome

    # -- the run -----------------------------------------------------------------------------

    def _revive(self) -> None:
        """Start those that do not run, until all do."""
        network = self._network
        while dead := [mix for mix in network.mixes if not _runs(mix)]:
            for mix in dead:
                network.clock.advance(1)
                if mix is self._victim:
                    self._passed = 0  # counted from its own start, not from the others'
                process = Process(
                    network.clock,
                    network.wire,
                    mix.host,
                    self._pass if mix is self._victim else lambda kind: None,
                    self._ledgers[mix.host].committed,
                )
                self._start(mix, process)

    def _start(self, mix: VirtualMix, process: Process) -> None:
        if mix.cache.latest is None:
            mix.update()
        ready: list[Any] = []
        try:
            _ = mix.begin(process).addBoth(ready.append)
        except Exception:
            if process.alive:
                raise
            return
        self._network.clock.run_until(lambda: bool(ready) or not process.alive)
        if process.alive and isinstance(ready[0], Failure):
            ready[0].raiseException()

    def _pass(self, kind: str) -> None:
        self._passed += 1
        if self._moments and self._passed == self._moments[0]:
            self._moments.pop(0)
            self._outcome.met = True
            self._outcome.moment += f" {kind}"
            process = self._victim.process
            if process is not None:
                process.kill()

    def _send(self, packets: Sequence[bytes]) -> None:
        """Hand packets over until all are acknowledged."""
        waiting = list(packets)
        for _ in range(PATIENCE):
            self._revive()
            sender = self._network.send(self._network.mixes[0], waiting)
            waiting = [waiting[n] for n in sorted({*sender.left, *sender.refusals})]
            if not waiting:
                return
            self._network.clock.advance(1)
        raise AssertionError("packets are not taken")

    def _wait_for(self, texts: Sequence[bytes]) -> None:
        exit = self._network.mixes[-1].exit
        for _ in range(PATIENCE):
            self._revive()
            if {message.content for message in exit.messages} >= set(texts):
                return
            self._network.clock.advance(5)

    # -- the verdict -------------------------------------------------------------------------

    def _judge(self, texts: Sequence[bytes]) -> None:
        outcome = self._outcome
        messages = self._network.mixes[-1].exit.messages
        outcome.lost = set(texts) - {message.content for message in messages}
        names = {(message.content, message.message_id) for message in messages}
        for text, count in Counter(text for text, _ in names).items():
            if count > 1:
                outcome.renamed.add(text)
        outcome.repeated = len(messages) - len(names)
        for mix in self._network.mixes:
            ledger = self._ledgers[mix.host]
            outcome.pooled += len(ledger.pooled)
            outcome.doubled += sum(len(ids) > 1 for ids in ledger.pooled.values())
            counts = self._result(mix.server.store.counts())
            outcome.left += counts.incoming + counts.pooled
            outcome.untagged += sum(not self._knows(mix, *tag) for tag in ledger.pooled)

    def _knows(self, mix: VirtualMix, key: int, tag: bytes) -> bool:
        """Whether a packet with that tag would be a replay."""
        store = mix.server.store
        trial = self._result(store.take_in(b"trial"))
        [verdict] = self._result(store.unwrapped([Step(trial, key, tag)]))
        return verdict is REPLAY

    def _result(self, deferred: Deferred[Any]) -> Any:
        return self._network.clock.result_of(deferred)


def _runs(mix: VirtualMix) -> bool:
    return mix.process is not None and mix.process.alive
