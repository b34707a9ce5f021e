from pathlib import Path

from twisted.internet.defer import Deferred

from mixminion.client.database import InlineExecutor
from mixminion.client.directory import Directory
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.errors import DirectoryOlder, NotEnoughSignatures
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.errors import NothingFetched
from mixminion.dirhttp.fetch import Fetcher
from mixminion.dirhttp.sources import Source, over_tls
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from mixminion.testing.wire import MemoryNetwork
from mixminion.util.hostport import HostPort
from tests.client.network import DAY, Network


class DirectoryTests(SyncTestCase):
    """The kept directory, and when a newer one is fetched."""

    def setUp(self):
        self.clock = HeapClock()
        self.wire = MemoryNetwork(self.clock, latency=0.01)
        self.network = Network(self.clock, self.listen, mixes=4)
        self.network.sign()
        self.folder = Path(self.mktemp()).absolute()
        self.fetches = 0
        self.directory = self.make()

    def listen(self, host, factory):
        listening = self.wire.server(host, 48099).listen(factory)
        self.clock.result_of(listening)
        return 48099

    def make(self):
        def dial(source):
            return over_tls(
                source, self.wire.client(source.place.host, source.place.port), self.clock
            )

        return Directory(
            DocumentCache([public for _, public in self.network.authorities], self.folder),
            Fetcher(self.clock, dial, SeededRandom(b"directory")),
            [Source(HostPort("127.1.0.1", 48099))],
            InlineExecutor(),
            self.clock,
        )

    def view(self):
        def fetching():
            self.fetches += 1

        return Deferred.fromCoroutine(self.directory.view(fetching))

    def ask(self, awaitable):
        if not isinstance(awaitable, Deferred):
            awaitable = Deferred.fromCoroutine(awaitable)
        return self.clock.result_of(awaitable)

    def test_one_fetch(self):
        """Many who ask at once wait for one fetch; later ones find what is kept."""
        views = [self.view() for _ in range(5)]
        self.assertEqual(len({id(self.ask(view)) for view in views}), 1)
        self.ask(self.view())
        self.assertEqual(self.fetches, 1)

    def test_kept(self):
        """Another run uses what is on disk, without asking anybody, until it expires."""
        self.ask(self.directory.update())
        self.wire.part(["127.0.0.1"], ["127.1.0.1"])
        self.directory = self.make()
        self.ask(self.view())
        self.assertEqual(self.fetches, 0)
        self.clock.advance(8 * DAY)
        self.assertRaises(NothingFetched, self.ask, self.view())

    def test_expired(self):
        """What is valid no longer is replaced."""
        self.ask(self.view())
        self.clock.advance(8 * DAY)
        self.network.sign()
        signed = int(self.clock.seconds())
        view = self.ask(self.view())
        self.assertEqual(view.consensus.valid_after, signed)
        self.assertEqual(self.fetches, 2)

    def test_worse(self):
        """Older documents and strangers' are refused, and what is kept stays in use."""
        kept = self.ask(self.directory.update())
        self.network.sign(now=self.clock.seconds() - 3600)
        self.assertRaises(DirectoryOlder, self.ask, self.directory.update())
        self.network.sign(signers=[b"x" * 32])
        self.assertRaises(NotEnoughSignatures, self.ask, self.directory.update())
        self.assertEqual(self.ask(self.view()).consensus, kept)
