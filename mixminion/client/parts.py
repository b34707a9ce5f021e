"""What a client is made of, wired from one configuration in one place."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint

from mixminion.client import (
    comparison,
)
from mixminion.client.aging import Aging
from mixminion.client.carrying import Carrying
from mixminion.client.comparison import Comparison
from mixminion.client.configuration import ClientSection, DirectorySection
from mixminion.client.database import Database, Executor, ThreadExecutor
from mixminion.client.directory import Directory
from mixminion.client.identities import Identities
from mixminion.client.imported import ImportedServers
from mixminion.client.inbox import Inbox
from mixminion.client.keeping import Keeping
from mixminion.client.kept_entries import KeptEntries
from mixminion.client.key_sources import Asking, KeysSection
from mixminion.client.keys import Keys
from mixminion.client.loads import Loads
from mixminion.client.mailbox import Mailboxes
from mixminion.client.outbox import Outbox
from mixminion.client.path_section import PathsSection
from mixminion.client.receipts import Receipts
from mixminion.client.remembering import ReplyBlocksSection
from mixminion.client.reply_blocks import ReplyBlocks
from mixminion.client.replying import Replying
from mixminion.client.running import Running
from mixminion.client.schedule import Schedule
from mixminion.client.sections import OutboxSection, ScheduleSection
from mixminion.client.sender import Sender
from mixminion.client.visiting import Visiting
from mixminion.client.writing import Writing
from mixminion.config import Config
from mixminion.crypto.rng import SeededRandom, SystemRandom
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.fetch import Fetcher
from mixminion.dirhttp.sources import Source, over_tls, through
from mixminion.interfaces import Random
from mixminion.util.hostport import HostPort


class Parts:
    """Everything, for one client; see :class:`mixminion.client.client.Client`."""

    def __init__(
        self,
        reactor: Any,
        config: Config,
        random: Random | None,
        executor: Executor | None,
        dial: Callable[[HostPort], IStreamClientEndpoint] | None,
    ) -> None:
        random = SystemRandom() if random is None else random
        executor = ThreadExecutor(reactor) if executor is None else executor
        connect = _dialler(reactor) if dial is None else dial
        home, section = config[ClientSection].home, config[DirectorySection]
        self.authorities = section.authorities
        self.folder = home / "directory"
        self.clock = reactor
        self.executor = executor
        self.random = random
        self.connect = connect
        self.default_path = config[PathsSection].default_path or ""
        self.database = Database(home / "client.sqlite", executor)
        self.outbox = Outbox(self.database)
        self.cache = DocumentCache(section.identities, self.folder, executor.run)
        self.schedule = Schedule(self.database, reactor, random)
        self.imported = ImportedServers(self.database, executor, reactor)
        """Servers that are known from files."""
        lists = config[PathsSection].lists
        self.entries = KeptEntries(self.database, reactor, random, lists)
        """The servers that packets go to first."""

        proxies = section.proxies(os.environ)

        def reach(source: Source) -> IStreamClientEndpoint:
            proxy = proxies.of(source.place, tls=source.tls)
            if proxy is None:
                return over_tls(source, connect(source.place), reactor)
            return through(proxy, source, connect(proxy.place), reactor)

        self.directory = Directory(
            cache=self.cache,
            fetcher=Fetcher(reactor, reach, random),
            comparison=Comparison(
                self.cache, Fetcher(reactor, reach, random, comparison.TIMEOUT), reactor, random
            ),
            schedule=self.schedule,
            configured=section.places,
            beside=self.imported.beside,
            executor=executor,
            clock=reactor,
            random=random,
        )
        asking = Asking(reactor, connect, proxies, executor)
        self.keys = Keys(self.database, reactor, config[KeysSection].sources, asking)
        self.keeping = Keeping(self.directory, self.schedule, reactor, random)
        self.mailboxes = Mailboxes(self.database, reactor, random, connect)
        self.identities = Identities(self.database, executor, random)
        self.reply_blocks = ReplyBlocks(
            self.database,
            self.identities,
            self.mailboxes,
            self.directory.view,
            reactor,
            random,
            config[ReplyBlocksSection],
            executor,
            lists,
        )
        self.sender = Sender(
            self.directory,
            self.outbox,
            reactor,
            random,
            connect,
            executor,
            self.default_path,
            self.entries,
        )
        self.receipts = Receipts(
            self.database,
            self.outbox,
            self.sender,
            self.mailboxes,
            self.directory.view,
            reactor,
            random,
            executor,
            self.entries,
            lambda: self.running.visit_every,
        )
        """What became of messages that were sent with a receipt."""
        self.inbox = Inbox(
            self.database, self.identities, self.reply_blocks, self.mailboxes, reactor
        )
        self.carrying = Carrying(self.database, self.outbox, self.sender, reactor, executor)
        self.aging = Aging(self.database, config[OutboxSection], reactor)
        self.running = Running(
            section=config[ScheduleSection],
            directory=self.directory,
            sender=self.sender,
            loads=Loads(
                self.directory,
                self.outbox,
                self.sender,
                self.entries,
                reactor,
                SeededRandom(random.octets(32)),
            ),
            visiting=Visiting(
                self.mailboxes,
                self.directory,
                config[ScheduleSection],
                reactor,
                SeededRandom(random.octets(32)),
            ),
            aging=self.aging,
            receipts=self.receipts,
            clock=reactor,
            random=SeededRandom(random.octets(32)),
        )
        self.replying = Replying(
            self.directory, self.outbox, self.sender, reactor, random, executor, self.entries
        )
        self.writing = Writing(
            self.directory.view,
            self.keys,
            self.reply_blocks,
            self.imported,
            executor,
            self.default_path,
        )

    async def close(self) -> None:
        """In the order in which nothing is lost."""
        self.keeping.stop()
        await self.running.stop()
        await self.sender.close()
        await self.database.close()


def _dialler(reactor: Any) -> Callable[[HostPort], IStreamClientEndpoint]:
    return lambda place: HostnameEndpoint(reactor, place.host, place.port)
