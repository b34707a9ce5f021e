"""Visits of mailboxes while a client runs: when, which, how often, and who hears of them."""

from __future__ import annotations

from itertools import pairwise
from math import exp
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from mixminion.client.errors import MailboxAway
from mixminion.client.mailbox import Visit
from mixminion.client.sections import ScheduleSection
from mixminion.client.visiting import Visiting
from mixminion.config import parse
from mixminion.crypto.rng import SeededRandom
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.mixing.statistics import ks_p

DAY = 86_400
HOUR = 3600


class Boxes:
    """Mailboxes that note when they were visited, in how many frames."""

    def __init__(self, clock: HeapClock, number: int) -> None:
        self.clock = clock
        self.number = number
        self.seen: list[tuple[float, int, int]] = []
        self.fails = False

    def all(self) -> Deferred[list[Any]]:
        return succeed([SimpleNamespace(number=n) for n in range(1, self.number + 1)])

    def visit(self, view: Any, number: int, frames: int) -> Deferred[Any]:
        self.seen.append((self.clock.seconds(), number, frames))
        if self.fails:
            return fail(MailboxAway(number=number))
        return succeed(Visit(items=0, held=0))


class VisitingTests(SyncTestCase):
    def visiting(self, boxes: Boxes, text: str = "") -> Visiting:
        config = parse(f"[Schedule]\n{text}", filename="/x", sections=[ScheduleSection])

        async def view() -> None:
            return None

        directory: Any = SimpleNamespace(view=view)
        given: Any = boxes
        made = Visiting(
            given, directory, config[ScheduleSection], boxes.clock, SeededRandom(b"visits")
        )
        made.start()
        return made

    def setUp(self) -> None:
        self.clock = HeapClock()

    def test_moments(self) -> None:
        """Of each mailbox the gaps between visits are exponential, an hour on average, and the
        frames are the same each time."""
        boxes = Boxes(self.clock, 3)
        self.visiting(boxes)
        self.clock.advance(60 * DAY)
        for number in (1, 2, 3):
            times = [time for time, which, _ in boxes.seen if which == number]
            gaps = [b - a for a, b in pairwise(times)]
            self.assertGreater(len(gaps), 1200)
            self.assertGreater(ks_p(gaps, lambda x: 1 - exp(-x / HOUR)), 0.001)
        self.assertEqual({frames for _, _, frames in boxes.seen}, {16})

    def test_configured(self) -> None:
        """Less often, with other frames; not at all; and none where there is no mailbox."""
        boxes = Boxes(self.clock, 1)
        self.visiting(boxes, "visit-every = 1 day\nvisit-frames = 4\n")
        self.clock.advance(60 * DAY)
        self.assertLess(abs(len(boxes.seen) - 60), 30)
        self.assertEqual({frames for _, _, frames in boxes.seen}, {4})
        for boxes, text in ((Boxes(self.clock, 1), "visits = no\n"), (Boxes(self.clock, 0), "")):
            self.visiting(boxes, text)
            self.clock.advance(DAY)
            self.assertEqual(boxes.seen, [])

    def test_observed(self) -> None:
        """Who observes hears of every visit that came to its end; one that did not changes
        nothing about the next."""
        boxes = Boxes(self.clock, 2)
        heard: list[int] = []
        visiting = self.visiting(boxes)
        visiting.observe(lambda number, visit: heard.append(number))
        self.clock.advance(DAY)
        self.assertEqual(heard, [number for _, number, _ in boxes.seen])
        self.assertGreater(len(heard), 20)
        boxes.fails, n = True, len(heard)
        self.clock.advance(DAY)
        self.assertEqual(len(heard), n)
        self.assertGreater(len(boxes.seen), n + 20)
        visiting.stop()
        n = len(boxes.seen)
        self.clock.advance(DAY)
        self.assertEqual(len(boxes.seen), n)
