"""A network in one call, for the tests of programs that use Mixminion::

    with embedding.network() as net:
        alice, bob = net.client("alice"), net.client("bob")
        box = net.result(bob.create_mailbox())
        net.result(alice.send(box.address, b"Hello"))
        net.clock.advance(60)

:func:`network` is in this process, without sockets, and time in it is made to pass;
:func:`processes` is one of real servers on this machine's loopback addresses.
"""

from __future__ import annotations

import tempfile
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from typing_extensions import override

from mixminion.client.client import Client
from mixminion.config import parse
from mixminion.crypto.rng import SeededRandom
from mixminion.exits import registry
from mixminion.exits.section import ExitSection
from mixminion.interfaces import IExit, Message, Random
from mixminion.testing.collector import Collector
from mixminion.testing.network import LocalNetwork
from mixminion.testing.virtual import VirtualNetwork

T = TypeVar("T")

_MAILBOXES = "[Exit mailbox]\nmodule = mailbox\n"


class _Mail(Collector):
    """Takes what is for ``user@example.org``."""

    name = "smtp"


@dataclass
class _Environment:
    """What exits are given."""

    reactor: Any
    random: Random
    host_name: str = "mix.example"
    software: str = "Mixminion test kit"


class Network(VirtualNetwork):
    """Mixes that run, each with mailboxes and an exit for mail; ``mails`` has arrived.

    Clients are made by :meth:`client`, and closed with the network.
    """

    def __init__(self, folder: Path, mixes: int = 4) -> None:
        self._mail = _Mail()
        self._clients: list[Client] = []
        super().__init__(folder, mixes, exits=self._make_exits)

    @property
    def mails(self) -> list[Message]:
        """What was handed over to mail addresses."""
        return self._mail.messages

    @override
    def client(self, name: str = "client", clock: Any = None, host: str = "127.0.0.1") -> Client:
        made = super().client(name, clock, host)
        self._clients.append(made)
        return made

    def result(self, work: Coroutine[Any, Any, T] | Deferred[T]) -> T:
        """What *work* comes to, however long that takes in this network's time."""
        waiting = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
        return self.clock.result_of(waiting)

    def close(self) -> None:
        """End the clients and the mixes."""
        for client in self._clients:
            self.result(client.close())
        self.stop()

    def _make_exits(self) -> Mapping[str, IExit]:
        modules = {"mailbox": registry.LazyModule("mailbox", "mixminion.exits.mailbox")}
        resolver = registry.resolver(modules)
        config = parse(_MAILBOXES, filename="kit", sections=[ExitSection], named_resolver=resolver)
        environment = _Environment(self.clock, SeededRandom(b"exits"))
        return {"smtp": self._mail, **registry.load(config, environment, modules)}


@contextmanager
def network(mixes: int = 4, folder: Path | None = None) -> Iterator[Network]:
    """A :class:`Network` of so many *mixes*, while the context lasts; without a *folder* in a
    temporary one that is removed at the end."""
    with _folder(folder) as place:
        made = Network(place, mixes)
        made.start()
        try:
            yield made
        finally:
            made.close()


@contextmanager
def processes(mixes: int = 5, folder: Path | None = None) -> Iterator[LocalNetwork]:
    """Real servers, started, with mailboxes, and an SMTP server where mail arrives;
    ``client_config`` is a configuration for :func:`mixminion.api.load_config`."""
    with _folder(folder) as place:
        made = LocalNetwork(place / "network", mixes, mailboxes=True)
        made.make()
        try:
            made.start()
            yield made
        finally:
            made.stop()


@contextmanager
def _folder(named: Path | None) -> Iterator[Path]:
    if named is not None:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="mixminion-") as made:
        yield Path(made)
