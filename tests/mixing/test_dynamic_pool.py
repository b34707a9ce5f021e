"""The timed dynamic pool lets out as many as Cottrell says, and any as likely as another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import floor

from hypothesis import given
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from mixminion.crypto.rng import SeededRandom
from mixminion.directory.parameters import Parameters
from mixminion.interfaces import IStrategy
from mixminion.mixing.dynamic_pool import DynamicPool, batch
from mixminion.testing.cases import SyncTestCase
from tests.mixing.statistics import chi_square_p, uniform_z

NOW = 1_700_000_100.0
INTERVAL, MINIMUM, PERCENT = 900, 45, 65
N = 20_000


def pool(seed: bytes = b"pool", minimum: int = MINIMUM, percent: int = PERCENT) -> DynamicPool:
    return DynamicPool(INTERVAL, minimum, percent, SeededRandom(seed))


def geometric(rate: float) -> Callable[[int], float]:
    """P(X = r), r = 1, 2, ..."""
    return lambda r: rate * (1 - rate) ** (r - 1)


class BatchTests(SyncTestCase):
    """How many leave."""

    def test_formula(self) -> None:
        """min(n - minimum, max(1, floor(n x rate))) from minimum + 1 on, as it is written down."""
        for held in range(1000):
            for minimum, percent in ((45, 65), (5, 60), (0, 1), (1, 100), (7, 3)):
                rate = percent / 100
                most = max(1, floor(held * rate + 1e-9))
                wanted = min(held - minimum, most) if held >= minimum + 1 else 0
                self.assertEqual(batch(held, minimum, percent), wanted)

    def test_known(self) -> None:
        """What Mixminion of old let out: 2 of 8, 30 of 100."""
        self.assertEqual((batch(8, 6, 30), batch(100, 6, 30)), (2, 30))


class PoolTests(SyncTestCase):
    """Packet in, rounds, packets out."""

    def fill(self, held: DynamicPool, count: int, first: int = 0, now: float = NOW) -> None:
        for item in range(first, first + count):
            held.add(item, 0.0, now)

    def test_interface(self) -> None:
        """It is a strategy."""
        verifyObject(IStrategy, pool())

    def test_rounds(self) -> None:
        """At multiples of the interval, not before, and once each."""
        held = pool()
        self.assertIsNone(held.next_release())
        self.fill(held, 200)
        due = held.next_release()
        assert due is not None
        self.assertEqual((due % INTERVAL, 0 < due - NOW <= INTERVAL), (0, True))
        self.assertEqual(held.release(due - 0.001), [])
        self.assertEqual(len(held.release(due)), 130)
        self.assertEqual(held.release(due + 1), [])
        self.assertEqual((len(held), held.next_release()), (70, due + INTERVAL))

    def test_late(self) -> None:
        """Rounds that passed unnoticed are not made up for."""
        held = pool()
        self.fill(held, 200)
        self.assertEqual(len(held.release(NOW + 10 * INTERVAL)), 130)
        self.assertEqual(held.release(NOW + 10 * INTERVAL + 1), [])

    def test_adjusted(self) -> None:
        """The next round is when it was, of the new size; those after it are by the new clock."""
        held = pool()
        self.fill(held, 200)
        due = held.next_release()
        assert due is not None
        held.adjust(Parameters(pool_interval=7, pool_minimum=90, pool_percent=10))
        self.assertEqual(held.next_release(), due)
        self.assertEqual(len(held.release(due)), 20)
        after = held.next_release()
        assert after is not None
        self.assertEqual((after % 7, 0 < after - due <= 7), (0, True))
        self.assertEqual(len(held.release(after)), 18)
        for _ in range(50):
            held.release(held.next_release() or 0)
        self.assertEqual(len(held), 90)

    def test_minimum(self) -> None:
        """What is left stays, for as many rounds as nothing comes; one more lets one go."""
        held = pool()
        self.fill(held, MINIMUM)
        for _ in range(50):
            self.assertEqual(held.release(held.next_release() or 0), [])
        self.fill(held, 1, first=MINIMUM)
        self.assertEqual(len(held.release(held.next_release() or 0)), 1)

    def test_stops_and_starts(self) -> None:
        """A server that starts again within a round has no round more."""
        held = pool()
        self.fill(held, 200)
        due = held.next_release()
        again = pool()
        self.fill(again, 200, now=NOW + 5)
        self.assertEqual(again.next_release(), due)

    def test_any_is_as_likely(self) -> None:
        """All packets of a pool leave equally often, at all places of the order: chi-square."""
        who: list[int] = []
        pairs: list[tuple[int, int]] = []
        for turn in range(N // 2):
            held = pool(b"%d" % turn, minimum=4, percent=50)
            self.fill(held, 6)
            leaving = held.release(NOW + INTERVAL)
            self.assertEqual(len(leaving), 2)
            who += leaving
            pairs.append((leaving[0], leaving[1]))
        self.assertLess(uniform_z(who, 6), 3.1)
        self.assertLess(uniform_z(pairs, 30), 3.1)

    def rounds(self, percent: int) -> Counter[int]:
        """In which round after its arrival each packet left, in a pool of 100 of which *percent*
        leave and as many come each time."""
        held, born, left = pool(minimum=20, percent=percent), {}, Counter[int]()
        self.fill(held, 100)
        born = dict.fromkeys(range(100), 0)
        for turn in range(1, N // percent + 60):
            leaving = held.release(NOW + turn * INTERVAL)
            self.assertEqual(len(leaving), percent)
            left.update(turn - born.pop(item) for item in leaving)
            first = 100 + (turn - 1) * percent
            self.fill(held, percent, first, NOW + turn * INTERVAL)
            born |= dict.fromkeys(range(first, first + percent), turn)
        return left

    def test_waiting(self) -> None:
        """So the wait in rounds is geometric, of mean n / k: chi-square over 20,000 packets."""
        for percent in (20, 65):
            left = self.rounds(percent)
            self.assertGreaterEqual(left.total(), 10_000)
            self.assertGreater(chi_square_p(left, geometric(percent / 100)), 0.001)

    def test_wrong_rate(self) -> None:
        """The test above sees a rate of 0.65 that is 0.67, and one of 0.20 that is 0.21."""
        for percent, wrong in ((65, 0.67), (20, 0.21)):
            left = self.rounds(percent)
            self.assertLess(chi_square_p(left, geometric(wrong)), 0.001)

    @given(
        arrivals=st.lists(st.integers(0, 30), max_size=30),
        minimum=st.integers(0, 20),
        percent=st.integers(1, 100),
    )
    def test_each_once(self, arrivals: list[int], minimum: int, percent: int) -> None:
        """Whatever comes, each leaves at most once, and what has not left is held."""
        held, came, gone = pool(minimum=minimum, percent=percent), 0, list[int]()
        for turn, count in enumerate(arrivals):
            self.fill(held, count, came, NOW + turn * INTERVAL)
            came += count
            before = len(held)
            leaving = held.release(NOW + (turn + 1) * INTERVAL)
            self.assertEqual(len(leaving), batch(before, minimum, percent))
            gone += leaving
        self.assertEqual(len(set(gone)), len(gone))
        self.assertEqual(len(held), came - len(gone))
        self.assertTrue(set(gone) <= set(range(came)))
