"""Runs a target on spoilt inputs and tells what should not have happened.

A target takes octets.  It returns, or raises one of the errors that its parser documents;
anything else is a finding, and so is an input that takes too much time or memory, or whose
octets turn up in the log.  The same seed gives the same inputs.  What reached a new place
in our code, or was refused at a new one, is spoilt further.
"""

from __future__ import annotations

import gc
import hashlib
import resource
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher

from tests.fuzz.coverage import EVERY, OURS, Edges
from tests.fuzz.mutators import OCTETS, Dice, Mutator, spoil

SECONDS = 0.5
"""Processor time that one input may take."""
MEMORY = 64 * 2**20
"""Octets by which one input may make the process larger than it ever was."""
CEILING = 512 * 2**20
"""Octets of addresses that a whole run may take."""
MOST_KEPT = 512
"""Inputs that are spoilt further, besides the corpus."""
MOST_FINDINGS = 5

_TARGETS = str(Path(__file__).with_name("targets"))


@dataclass(frozen=True)
class Subject:
    """A target set up: the function, and real inputs to begin with.

    What *run* returns tells one way of reading an input from another (None: all are one).
    """

    run: Callable[[bytes], object]
    corpus: Sequence[bytes]


@dataclass(frozen=True)
class Target:
    """A parser to fuzz; *refuses* are the errors it documents, *words* what its inputs are
    made of, *longest* the octets of an input."""

    name: str
    build: Callable[[], Subject]
    refuses: tuple[type[Exception], ...] = ()
    mutators: Sequence[Mutator] = OCTETS
    words: tuple[bytes, ...] = ()
    longest: int = 4096
    seconds: float = SECONDS


@dataclass(frozen=True)
class Finding:
    """An input and what it did."""

    target: str
    problem: str  #: one line; the same for the same defect
    detail: str  #: a traceback, where there is one
    octets: bytes

    @property
    def name(self) -> str:
        """For a file."""
        return hashlib.sha256(self.octets).hexdigest()[:16]


@dataclass
class Report:
    """What a run came to."""

    target: str
    inputs: int = 0
    accepted: int = 0  #: inputs that were not refused
    seconds: float = 0.0
    edges: int = 0
    findings: list[Finding] = field(default_factory=list)


class TooSlow(BaseException):
    """Raised in the midst of an input; no ``except Exception`` of the target's catches it."""


class ContentsLogged(Exception):
    """The input, or a failure, was logged."""


def fuzz(target: Target, inputs: int, seed: int = 0, *, most: int = MOST_FINDINGS) -> Report:
    """Run *inputs* inputs, the corpus first; stops after *most* different findings."""
    subject = target.build()
    return Run(target, subject, seed).go(inputs, most)


class Run:
    """One run of one target."""

    def __init__(self, target: Target, subject: Subject, seed: int = 0) -> None:
        self._target = target
        self._subject = subject
        self._corpus = [octets[: target.longest] for octets in subject.corpus]
        self._kept: list[bytes] = []
        self._dice = Dice(f"{target.name} {seed}", target.words, target.longest)
        self._edges = Edges()
        self._ways: set[object] = set()
        self._report = Report(target.name)
        self._logged: list[LogEvent] = []
        self._peak = 0
        self._serial = 0
        self._accepted = False

    def go(self, inputs: int, most: int) -> Report:
        """See :func:`fuzz`."""
        report = self._report
        started = time.process_time()
        with self._guarded():
            for number in range(inputs):
                octets = self._next(number)
                traced = number < len(self._corpus) or number % EVERY == 0
                finding = self.judge(octets, traced=traced)
                report.inputs += 1
                report.accepted += self._accepted
                if finding is not None and all(
                    finding.problem != f.problem for f in report.findings
                ):
                    report.findings.append(self._reduced(finding))
                    if len(report.findings) == most:
                        break
            gc.collect()  # a failure that nobody took is logged when it is forgotten
            if told := self._told(b""):
                report.findings.append(self._finding(b"", ContentsLogged(told)))
        report.seconds = time.process_time() - started
        report.edges = len(self._edges.seen)
        return report

    def alone(self, octets: bytes) -> Finding | None:
        """Run one input by itself."""
        with self._guarded():
            return self.judge(octets)

    def _next(self, number: int) -> bytes:
        if number < len(self._corpus):
            return self._corpus[number]
        dice, kept = self._dice, self._kept
        if kept and dice.random() < 0.6:
            begin = min(dice.one(kept), dice.one(kept), key=len)  # short ones are quicker
        else:
            begin = dice.one(self._corpus)
        return spoil(dice, begin, dice.one(self._corpus), self._target.mutators)

    # -- one input -----------------------------------------------------------------------

    def judge(self, octets: bytes, *, traced: bool = False) -> Finding | None:
        """Run one input; what is wrong with what it did."""
        self._serial += 1
        self._accepted = False
        self._peak = _peak()
        self._logged.clear()
        way: list[object] = []
        new = 0
        try:
            if traced:
                new = self._edges.trace(lambda: way.append(self._subject.run(octets)))
            else:
                way.append(self._subject.run(octets))
        except self._target.refuses as error:
            way.append(_place(error.__traceback__))
        except (Exception, TooSlow) as error:
            return self._finding(octets, error)
        else:
            self._accepted = True
        if self._logged and (told := self._told(octets)):
            return self._finding(octets, ContentsLogged(told))
        grown = _peak() - self._peak
        if grown > MEMORY:
            return self._finding(octets, MemoryError(f"{grown >> 20} MiB for one input"))
        if new or way[0] not in self._ways:
            self._ways.add(way[0])
            self._keep(octets)
        return None

    def _keep(self, octets: bytes) -> None:
        if len(self._kept) < MOST_KEPT:
            self._kept.append(octets)
        else:
            self._kept[self._dice.below(MOST_KEPT)] = octets

    def _told(self, octets: bytes) -> str:
        """What of the log should not be there; the log is empty then."""
        events, self._logged[:] = self._logged[:], []
        text = octets.decode("latin-1")
        for event in events:
            message = formatEvent(event)
            if "log_failure" in event or event.get("log_level", LogLevel.info) > LogLevel.warn:
                return f"a failure was logged: {message.splitlines()[:1]}"
            rest = [str(each) for key, each in event.items() if not key.startswith("log_")]
            told = " ".join([message, *rest])
            if any(text[at : at + 8] in told for at in range(len(text) - 7)):
                return "the input was logged"
        return ""

    def _finding(self, octets: bytes, error: BaseException) -> Finding:
        kind = type(error).__name__
        problem = f"{kind} at {_place(error.__traceback__)}"
        if isinstance(error, ContentsLogged | MemoryError):
            problem = f"{kind}: {error}"
        elif isinstance(error, TooSlow):
            problem = f"more than {self._target.seconds} s of processor time"
        detail = "".join(traceback.format_exception(error))
        return Finding(self._target.name, problem, detail, octets)

    def _reduced(self, finding: Finding) -> Finding:
        """The same with fewer octets, if some can be left out."""
        quick = not finding.problem.startswith(("more than", "MemoryError"))
        size = len(finding.octets) // 2 if quick else 0
        tries = 400
        while size and tries:
            at = 0
            while at < len(finding.octets) and tries:
                tries -= 1
                shorter = finding.octets[:at] + finding.octets[at + size :]
                found = self.judge(shorter)
                if found is not None and found.problem == finding.problem:
                    finding = found
                else:
                    at += size
            size //= 2
        return finding

    # -- bounds --------------------------------------------------------------------------

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Time, memory and the log are watched inside, and a warning is an error: it would be
        written where nobody looks through it for contents."""
        observer: Any = self._logged.append
        with ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", DeprecationWarning)  # as Python does itself
            globalLogPublisher.addObserver(observer)
            stack.callback(globalLogPublisher.removeObserver, observer)
            stack.enter_context(_ceiling())
            stack.enter_context(self._watched())
            yield

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Interrupt an input after so much processor time."""
        tick = self._target.seconds / 4
        serial = ticks = 0

        def look(number: int, frame: FrameType | None) -> None:
            nonlocal serial, ticks
            ticks = ticks + 1 if serial == self._serial else 0
            serial = self._serial
            if ticks >= 4:
                ticks = 0
                raise TooSlow

        previous = signal.signal(signal.SIGVTALRM, look)
        signal.setitimer(signal.ITIMER_VIRTUAL, tick, tick)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, previous)


def _place(trace: TracebackType | None) -> str:
    """Where an error was raised: file, function and line, as far as it is our code."""
    place = "nowhere"
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename.startswith((OURS, _TARGETS)):
            name = "/".join(code.co_filename.split("/")[-2:])
            place = f"{name}:{code.co_name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _peak() -> int:
    """Octets of memory that this process ever had at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def _ceiling() -> Iterator[None]:
    """Past so many more octets of addresses, MemoryError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + CEILING, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
