"""What is over a limit waits; a restart gains nobody much; no address is kept."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.crypto.rng import SeededRandom
from mixminion.exits import limits
from mixminion.exits.limits import LimitedSection, Limits, OverLimit
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.exits import kit

HOUR, DAY = 3600.0, 86400.0
BOB = "bob@example.test"


class LimitCase(SyncTestCase):
    def setUp(self) -> None:
        self.clock = HeapClock()

    def made(self, keys: str = "", *, old: float = DAY) -> Limits:
        """Limits that were started *old* seconds ago."""
        text = f"[Exit smtp]\nmodule = smtp\ndomain = mix.test\n{keys}\n"
        if keys:
            text += "\n".join(
                line for line in kit.NO_LIMITS.split("\n") if line.split(" ")[0] not in keys
            )
        [section] = kit.config(text).named(LimitedSection).values()
        made = Limits(section, self.clock, SeededRandom(b"limits"))
        made.begin()
        self.clock.advance(old)
        return made

    def taken(self, made: Limits, recipient: str = BOB, octets: int = 1, most: int = 10**6) -> int:
        """How many messages in a row go to *recipient* now."""
        for n in range(most):
            try:
                if not made.take([recipient], octets).recipients:
                    return n
            except OverLimit:
                return n
        return most


class LimitTests(LimitCase):
    def test_defaults(self) -> None:
        """Nobody gets more than 5 in an hour and 20 in a day, also by another spelling; a domain
        not more than 100 in an hour."""
        made = self.made()
        self.assertEqual(self.taken(made), 5)
        for other in ("Bob@Example.Test", "bob+x@example.test"):
            self.assertEqual(self.taken(made, other), 0)
        self.assertEqual(
            sum(self.taken(made, f"u{n}@example.test", most=1) for n in range(200)), 95
        )
        self.assertEqual(self.taken(made, "bob@other.test"), 5)
        in_a_day = 5
        for _ in range(40):
            self.clock.advance(HOUR / 2)
            in_a_day += self.taken(made)
        self.assertEqual(in_a_day, 20)

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.tuples(st.floats(0, 20_000), st.integers(0, 8)), min_size=5, max_size=60))
    def test_any_stretch(self, steps: list[tuple[float, int]]) -> None:
        """Whenever messages come, within no stretch of an hour do more leave, and whoever waits
        for an hour and a twelfth gets one."""
        made = self.made("recipient-limit = 10/hour")
        left: list[float] = []
        for pause, most in steps:
            self.clock.advance(pause)
            left += [self.clock.seconds()] * self.taken(made, most=most)
        for n in range(len(left) - 10):
            self.assertGreater(left[n + 10] - left[n], HOUR)
        self.clock.advance(HOUR * 13 / 12 + 1)
        self.assertEqual(self.taken(made), 10)

    def test_whole(self) -> None:
        """Messages and octets of the exit as a whole, each recipient counted."""
        made = self.made("message-limit = 3/hour")
        share = made.take([BOB, "a@x.test", "b@x.test", "c@x.test"], 10)
        self.assertEqual((len(share.recipients), share.put_off), (3, ("c@x.test",)))
        with self.assertRaises(OverLimit):
            made.take(["d@y.test"], 10)
        made = self.made("bandwidth-limit = 1 MB/day")
        self.assertEqual(self.taken(made, octets=300_000), 4)
        self.clock.advance(DAY * 13 / 12 + 1)
        self.assertEqual(self.taken(made, octets=300_000), 4)

    def test_no_limit(self) -> None:
        """An empty value is none."""
        self.assertEqual(self.taken(self.made("recipient-limit ="), most=3000), 3000)

    def test_give_back(self) -> None:
        """What was not needed can be used again, after a while too."""
        made = self.made("recipient-limit = 2/hour")
        share = made.take([BOB], 1)
        self.clock.advance(HOUR / 2)
        self.assertEqual(self.taken(made), 1)
        made.give_back(share, [BOB])
        self.assertEqual(self.taken(made), 1)

    def test_restarts(self) -> None:
        """After a start there is a tenth, which grows to the whole within the period."""
        made = self.made("recipient-limit = 20/day", old=0)
        self.assertEqual(self.taken(made), 2)
        self.clock.advance(DAY / 2)
        self.assertEqual(self.taken(made), 9)
        self.clock.advance(DAY * 2)
        self.assertEqual(self.taken(made), 20)

    def test_clock_set_back(self) -> None:
        """A clock that is put back stops nothing and opens nothing."""
        made = self.made("recipient-limit = 5/hour")
        self.assertEqual(self.taken(made, most=3), 3)
        assert made._started is not None
        made._started += HOUR / 2
        self.assertEqual(self.taken(made), 2)
        self.clock.advance(2 * HOUR)
        self.assertEqual(self.taken(made), 5)

    def test_memory(self) -> None:
        """No address is in it, and the number of those that are remembered is bounded."""
        made = self.made("recipient-limit = 5/hour\ndomain-limit = 5/hour")
        for n in range(limits.MOST_KEYS + 10):
            made.take([f"bob{n}@x{n}.test"], 1)
        [recipients], [domains] = made._recipients, made._domains
        for windows in (recipients, domains):
            self.assertEqual(len(windows._windows), limits.MOST_KEYS)
            self.assertEqual({len(key) for key in windows._windows}, {16})
            self.assertNotIn(b"bob", b"".join(windows._windows))
