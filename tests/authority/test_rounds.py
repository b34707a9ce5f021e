"""Rounds."""

from __future__ import annotations

from mixminion.testing.cases import SyncTestCase
from tests.authority.world import World


class RoundsTests(SyncTestCase):
    def test_agreed(self) -> None:
        """Five authorities publish one consensus with five signatures, hour after hour."""
        world = World(5)
        world.start()
        world.until(world.schedule(2).valid_after + 60)
        for number in range(3):
            at = world.schedule(number).valid_after
            held = [node.held(at) for node in world.nodes]
            self.assertEqual(len({each.digest for each in held}), 1)
            self.assertEqual({each.tally.signed for each in held}, {5})
            print(
                held[0].consensus.previous,
                held[0].consensus.gap,
                len(held[0].consensus.servers),
                held[0].consensus.shared_random,
            )
        import json

        print(json.dumps(world.nodes[0].rounds.status(), indent=1))
