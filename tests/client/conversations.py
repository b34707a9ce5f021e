"""Two people with mailboxes on a whole network with a virtual clock."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from mixminion import api
from mixminion.directory.parameters import Parameters
from mixminion.sphinx.geometry import Geometry
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.virtual import VirtualNetwork
from tests.client.test_mailbox import exits

T = TypeVar("T")


class ConversationCase(SyncTestCase):
    """Alice's and Bob's clients, and four mixes with mailboxes."""

    sizes: Geometry | None = None  #: other than the default

    def setUp(self) -> None:
        self.network = VirtualNetwork(
            Path(self.mktemp()),
            parameters=Parameters.local_demo(),
            geometry=self.sizes,
            exits=exits,
        )
        self.network.start()
        self.addCleanup(self.network.stop)
        self.alice = self.network.client("alice")
        self.bob = self.network.client("bob")
        self.addCleanup(lambda: [self.do(each.close()) for each in (self.alice, self.bob)])

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.network.clock.result_of(Deferred.fromCoroutine(work))

    def blocks(self, client: api.Client, count: int = 1, **options: Any) -> list[bytes]:
        """Reply blocks that can be used now."""
        made = self.do(client.reply_blocks.create(count, **options))
        return made[:count]  # those of this period come first

    def answer(self, client: api.Client, blocks: Sequence[bytes], content: bytes) -> api.Sent:
        sent = self.do(client.reply(blocks, content))
        self.network.clock.advance(60)
        return sent

    def fetch(self, client: api.Client, frames: int = 8) -> None:
        """Visit every mailbox."""
        for box in self.do(client.mailboxes()):
            self.do(client.visit_mailbox(box.number, frames))

    def unread(self, client: api.Client, **options: Any) -> list[api.Opened]:
        return self.do(client.inbox.unread(**options))

    def read(self, client: api.Client, **options: Any) -> list[api.Opened]:
        """Fetch, and take what there is."""
        self.fetch(client)
        opened = self.unread(client, **options)
        self.do(client.inbox.mark_read(opened))
        return opened

    def raw(self, client: api.Client) -> list[api.Fetched]:
        """What was fetched, as it came."""
        boxes = self.do(client.mailboxes())
        return [each for box in boxes for each in self.do(client.unread(box.number))]
