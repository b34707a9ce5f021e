"""A network that is no clique: links that servers declare refused carry nothing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from twisted.internet.defer import Deferred
from typing_extensions import override

from mixminion import api
from mixminion.directory.parts import Rule
from mixminion.mix.batches import Wanted
from mixminion.paths.constraints import links
from mixminion.sphinx import geometry as geometries
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.collector import EXIT
from mixminion.testing.directory import PERIODS
from mixminion.testing.virtual import VirtualNetwork

MESSAGES = 40


class Sparse(VirtualNetwork):
    """Seven servers.  Each makes no links to the next one and takes none from the one after that,
    which they enforce."""

    @override
    def begin_directory(self) -> None:
        count = len(self.mixes)
        current = int(self.clock.seconds() // self.parameters.key_period)
        periods = range(current, current + PERIODS)
        for number, mix in enumerate(self.mixes):
            to, of = (1 + (number + n) % count for n in (1, 2))
            mix.dials = [Rule.parse(f"deny 127.{to}.0.0/16")]
            mix.accepts = [Rule.parse(f"deny 127.{of}.0.0/16")]
            wanted = [Wanted(n, geometries.of(self.schedule(n))) for n in periods]
            mix.publish([mix.keys.make(each) for each in wanted])
        super().begin_directory()


class UnreachableLinksTests(SyncTestCase):
    def setUp(self) -> None:
        self.network = Sparse(Path(self.mktemp()), 7)
        self.network.start()
        self.addCleanup(self.network.stop)
        self.client = self.network.client()
        self.addCleanup(
            lambda: self.network.clock.result_of(Deferred.fromCoroutine(self.client.close()))
        )

    def send(self, text: bytes, path: str | None = None) -> api.Sent:
        sending = self.client.send(f"{EXIT}:bob@example.org", text, path=path)
        return self.network.clock.result_of(Deferred.fromCoroutine(sending))

    def refused(self) -> int:
        """Packets and links that a server had no use for."""
        words = ("link-refused", "drop-unknown-next")
        return sum(mix.counters[word] for mix in self.network.mixes for word in words)

    def test_all_arrive(self) -> None:
        """Random paths keep to what servers say, so that every message arrives and no link is
        refused; a path that does not is what a refusal looks like."""
        servers = {each.nickname: each for each in self.network.view.servers}
        pairs = [(a, b) for a in servers.values() for b in servers.values() if a != b]
        self.assertEqual(sum(not links(a, b) for a, b in pairs), 14)
        for n in range(MESSAGES):
            sent = self.send(b"message %d" % n)
            for one, other in pairwise(sent.path):
                self.assertTrue(links(servers[one], servers[other]), sent.path)
        self.network.clock.advance(120)
        arrived = [each for mix in self.network.mixes for each in mix.exit.messages]
        self.assertEqual((len(arrived), self.refused()), (MESSAGES, 0))
        self.send(b"against the rules", "mix4,mix5,mix1")
        self.network.clock.advance(120)
        self.assertGreater(self.refused(), 0)
        arrived = [each for mix in self.network.mixes for each in mix.exit.messages]
        self.assertEqual(len(arrived), MESSAGES)
