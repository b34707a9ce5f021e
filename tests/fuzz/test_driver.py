"""The driver finds what was planted, and repeats itself."""

from __future__ import annotations

import time
from dataclasses import replace

from twisted.logger import Logger

from mixminion.testing.cases import SyncTestCase
from tests.fuzz.driver import Finding, Run, Subject, Target, fuzz
from tests.fuzz.targets import TARGETS

log = Logger()


def planted(name: str, fault: object, **changes: object) -> Target:
    """The target of that name, with *fault* called on every input that was accepted."""
    target = TARGETS[name]

    def build() -> Subject:
        subject = target.build()

        def run(octets: bytes) -> object:
            way = subject.run(octets)
            fault(octets)  # type: ignore[operator]
            return way

        return Subject(run, subject.corpus)

    return replace(target, build=build, **changes)  # type: ignore[arg-type]


class DriverTests(SyncTestCase):
    def find(self, target: Target, inputs: int = 20_000) -> Finding:
        """The first finding, which there must be."""
        report = fuzz(target, inputs, most=1)
        self.assertEqual(len(report.findings), 1, report)
        return report.findings[0]

    def test_repeats(self) -> None:
        """The same seed gives the same inputs, another seed others."""
        seen: list[list[bytes]] = []
        for seed in (1, 1, 2):
            inputs: list[bytes] = []
            fuzz(planted("message", inputs.append), 500, seed)
            seen.append(inputs)
        self.assertEqual(seen[0], seen[1])
        self.assertNotEqual(seen[0], seen[2])

    def test_loop(self) -> None:
        """A loop without end is interrupted and told."""

        def fault(octets: bytes) -> None:
            while octets[:2] == b"\x01\x03" and octets[4:5] > b"\x00":
                pass

        loose = Target("loose", lambda: Subject(fault, [b"\x01\x02\x03\x00\x00"]), seconds=0.1)
        self.assertIn("more than 0.1 s", self.find(loose).problem)

    def test_slow_expression(self) -> None:
        """Time lost in C is seen as well."""

        def fault(octets: bytes) -> None:
            if octets.startswith(b"\x01\x02\x03\x01"):
                until = time.process_time() + 0.2
                while time.process_time() < until:
                    sorted(range(10_000), key=str)

        loose = Target("loose", lambda: Subject(fault, [b"\x01\x02\x03\x00"]), seconds=0.1)
        self.assertIn("more than 0.1 s", self.find(loose).problem)

    def test_memory(self) -> None:
        """An input that becomes large is told, whether the memory is touched or not."""
        for grow in (lambda n: bytes(n), lambda n: b"x" * n):

            def fault(octets: bytes, grow: object = grow) -> None:
                grow(int.from_bytes(octets[-4:]))  # type: ignore[operator]

            found = self.find(planted("surb-x25519", fault))
            self.assertIn("MemoryError", found.problem)

    def test_contents_logged(self) -> None:
        """An input that is logged, and a failure that is."""

        def log_it(octets: bytes) -> None:
            if octets[:1] == b"\x02":
                log.info("seen: {text}", text=octets.decode("latin-1"))

        loose = Target("loose", lambda: Subject(log_it, [b"\x01sixteen octets here"]))
        self.assertIn("ContentsLogged", self.find(loose).problem)

        def log_failure(octets: bytes) -> None:
            if octets[:1] == b"\x02":
                try:
                    octets[99]
                except IndexError:
                    log.failure("this and that")

        loose = Target("loose", lambda: Subject(log_failure, [b"\x01"]))
        self.assertIn("ContentsLogged", self.find(loose).problem)
        self.flushLoggedErrors(IndexError)

    def test_reduced(self) -> None:
        """What is told of an input is as short as it can be found."""

        def fault(octets: bytes) -> None:
            assert b"!" not in octets

        loose = Target("loose", lambda: Subject(fault, [b"x" * 300]), words=(b"!",))
        self.assertEqual(self.find(loose).octets, b"!")

    def test_alone(self) -> None:
        """A finding can be run again by itself."""

        def fault(octets: bytes) -> None:
            assert octets != b"bad"

        run = Run(Target("loose", lambda: Subject(fault, [])), Subject(fault, []))
        self.assertIsNone(run.alone(b"good"))
        self.assertIsNotNone(run.alone(b"bad"))
