"""Recently pooled packets in memory."""

import random

from mixminion.mix.cache import PacketCache
from mixminion.testing.cases import SyncTestCase


class CacheTests(SyncTestCase):
    """A cache of 100 octets."""

    def setUp(self) -> None:
        self.cache = PacketCache(100)

    def held(self) -> list[int]:
        """Ids it remembers."""
        return [n for n in range(200) if self.cache.get(n) is not None]

    def test_the_oldest_are_forgotten_first(self) -> None:
        """Whether they were asked for or not."""
        for n in range(12):
            self.cache.put(n, bytes(10))
            self.cache.get(0)
        self.assertEqual(self.held(), list(range(2, 12)))

    def test_what_was_deleted_makes_room(self) -> None:
        """And may be deleted twice."""
        for n in range(10):
            self.cache.put(n, bytes(10))
        for n in (3, 3, 4, 99):
            self.cache.forget(n)
        self.cache.put(10, bytes(20))
        self.assertEqual(self.held(), [0, 1, 2, 5, 6, 7, 8, 9, 10])

    def test_what_does_not_fit_is_not_kept(self) -> None:
        """It takes the others with it, and no room."""
        self.cache.put(1, bytes(10))
        self.cache.put(2, bytes(101))
        self.assertEqual(self.held(), [])
        self.cache.put(3, bytes(100))
        self.assertEqual(self.held(), [3])

    def test_it_never_grows_and_never_shrinks(self) -> None:
        """After anything at all it still holds ten of ten octets."""
        dice = random.Random(1)
        for _ in range(5000):
            n = dice.randrange(40)
            if dice.random() < 0.3:
                self.cache.forget(n)
            else:
                self.cache.put(n, bytes(dice.randrange(1, 30)))
            self.assertTrue(sum(len(self.cache.get(n) or b"") for n in range(40)) <= 100)
        for n in range(100, 120):
            self.cache.put(n, bytes(10))
        self.assertEqual(self.held(), list(range(110, 120)))
