"""Directory authorities on virtual time: whole ones, with HTTP, TLS, registers and archives, over
memory wires.

::

    clock = HeapClock()
    wire = MemoryNetwork(clock)
    authorities = VirtualAuthorities(clock, wire, folder, count=5)
    authorities.start()
    clock.advance(3600)
    consensus = authorities.all[0].server.cache.signed
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from mixminion.authority.config import SECTIONS, Settings
from mixminion.authority.desk import Desk
from mixminion.authority.figures import Figures
from mixminion.authority.folder import PrivateFolder
from mixminion.authority.peers import HttpPeers
from mixminion.authority.records import Decision
from mixminion.authority.server import AuthorityServer, Surroundings, Told
from mixminion.config import parse
from mixminion.crypto import sign
from mixminion.crypto.rng import SeededRandom
from mixminion.directory import certificate
from mixminion.directory.certificate import Role
from mixminion.directory.envelope import Signer
from mixminion.directory.receipt import Receipt
from mixminion.dirhttp.cache import inline
from mixminion.dirhttp.sources import Source, over_tls
from mixminion.disk import private
from mixminion.disk.database import InlineExecutor
from mixminion.testing.clock import HeapClock
from mixminion.testing.wire import MemoryNetwork
from mixminion.util.hostport import HostPort

PORT = 80
DAYS = 90
TEXT = """\
[Authority]
nickname = {nickname}
url = http://{host}/
[Directory]
authorities =
  {lines}
[Network]
test-network = yes
{network}
[Admission]
{open}
{admission}
"""
OPEN = """\
policy = open
waiting-time = 0 s
exit-waiting-time = 0 s
"""


class Listening:
    """Listens in a memory network while it runs."""

    def __init__(self, wire: MemoryNetwork, host: str, factory: IProtocolFactory) -> None:
        self._endpoint = wire.server(host, PORT)
        self._factory = factory
        self._port: IListeningPort | None = None

    def startService(self) -> None:
        """Listen."""
        _ = self._endpoint.listen(self._factory).addCallback(self._listens)

    async def stopService(self) -> None:
        """Accept no more."""
        if self._port is not None:
            stopping: Any = self._port.stopListening()
            await stopping

    def _listens(self, port: IListeningPort) -> None:
        self._port = port


class VirtualAuthority:
    """One authority: its keys, its settings, and the server while it runs."""

    def __init__(self, group: VirtualAuthorities, number: int) -> None:
        self._group = group
        self.number = number
        self.nickname = f"authority{number}"
        self.host = f"127.0.{number}.1"
        self.home = group.folder / self.nickname
        self._private, self.identity = sign.generate()
        self.signer, self.signing_ends = self.certified(group.clock.seconds())
        self.names: dict[str, Sequence[str]] = {}  #: what host names it knows
        self.server: AuthorityServer | None = None

    @property
    def line(self) -> str:
        """What goes under ``[Directory] authorities``."""
        return f"{self.nickname} {self.identity.hex()} http://{self.host}/"

    def certified(self, now: float) -> tuple[Signer, int]:
        """A new signing key, and when it ends."""
        secret, public = sign.generate()
        ends = int(now) + DAYS * 86_400
        statement = certificate.certify(
            Role.AUTHORITY,
            self._private,
            public,
            valid_after=int(now) - 3600,
            valid_until=ends,
        )
        return Signer.of(secret, statement), ends

    def told(self, figures: Figures | None = None, **changes: Any) -> Told:
        """What it goes by; *changes* are of its group's texts."""
        settings = self._group.settings(self, **changes)
        return Told(settings, self.signer, self.signing_ends, figures or Figures())

    def certify(self) -> None:
        """Make a new signing key, and use it from now on."""
        self.signer, self.signing_ends = self.certified(self._group.clock.seconds())
        self.reload()

    def reload(self) -> None:
        """Read configuration and keys again, if it runs."""
        if self.server is not None:
            telling = self.server.tell(self.told())
            self._group.clock.result_of(Deferred.fromCoroutine(telling))

    def start(self, **changes: Any) -> None:
        """Start it; what it left on the disk is found again."""
        group = self._group
        private.make_folder(self.home)
        around = Surroundings(
            clock=group.clock,
            random=SeededRandom(self.nickname.encode()),
            home=self.home,
            archive=PrivateFolder(self.home / "archive"),
            executor=InlineExecutor(),
            in_thread=inline,
            listen=lambda factory: Listening(group.wire, self.host, factory),
            dial=self._dial,
            connect=lambda place: group.wire.client(place.host, place.port, self.host),
            resolve=self._resolve,
        )
        self.server = AuthorityServer(
            self.identity, self.nickname.encode().ljust(32), self.told(**changes), around
        )
        group.clock.result_of(Deferred.fromCoroutine(self.server.start()))

    def stop(self) -> None:
        """Stop it."""
        server, self.server = self.server, None
        if server is not None:
            self._group.clock.result_of(Deferred.fromCoroutine(server.stop()))

    def _dial(self, source: Source) -> Any:
        place = source.place
        client = self._group.wire.client(place.host, place.port, self.host)
        return over_tls(source, client, self._group.clock)

    async def _resolve(self, name: str) -> Sequence[str]:
        return self.names.get(name, ())


class VirtualAuthorities:
    """*count* authorities with homes under *folder*; *network* and *admission* are lines of their
    configurations, the latter after those that let everybody in at once unless they have a policy
    of their own."""

    def __init__(
        self,
        clock: HeapClock,
        wire: MemoryNetwork,
        folder: Path,
        count: int = 3,
        network: str = "",
        admission: str = "",
    ) -> None:
        self.clock = clock
        self.wire = wire
        self.folder = folder.absolute()
        self._texts = {"network": network, "admission": admission}
        self.all = [VirtualAuthority(self, number) for number in range(1, count + 1)]
        self._lines = [each.line for each in self.all]

    @property
    def identities(self) -> list[bytes]:
        """The raw identity keys of all."""
        return [each.identity for each in self.all]

    def settings(self, each: VirtualAuthority, **changes: Any) -> Settings:
        """The settings of one of them."""
        texts: dict[str, Any] = {
            "lines": ",\n  ".join(self._lines),
            "nickname": each.nickname,
            "host": each.host,
            **self._texts,
            **changes,
        }
        texts["open"] = "" if "policy =" in texts["admission"] else OPEN
        filename = str(each.home / "authority.conf")
        return Settings.of(parse(TEXT.format(**texts), filename=filename, sections=SECTIONS))

    @property
    def running(self) -> list[AuthorityServer]:
        """Those that run."""
        return [each.server for each in self.all if each.server is not None]

    def configure(self, **texts: str) -> None:
        """Other lines for all; those that run read them, the others when they start."""
        self._texts |= texts
        for each in self.all:
            each.reload()

    def decide(self, server: AuthorityServer, name: str, decision: Decision) -> None:
        """What the operator of one of them says of a mix, by nickname or identity."""
        deciding = Desk(server).decide(name, decision, exit=True)
        self.clock.result_of(Deferred.fromCoroutine(deciding))

    def start(self) -> None:
        """Start all."""
        for each in self.all:
            each.start()

    def stop(self) -> None:
        """Stop those that run."""
        for each in self.all:
            each.stop()

    def publish(self, descriptor: bytes, host: str = "127.9.9.9") -> list[Receipt]:
        """Publish a descriptor from *host* at all of them, over HTTP."""

        def dial(source: Source) -> Any:
            return self.wire.client(source.place.host, source.place.port, host)

        sources = {each.identity: Source(HostPort(each.host, PORT), False) for each in self.all}
        peers = HttpPeers(self.clock, dial, sources)
        receipts = []
        for each in self.all:
            posting = Deferred.fromCoroutine(
                peers.post(each.identity, "descriptor", descriptor, 30.0)
            )
            octets = self.clock.result_of(posting).octets
            receipts.append(Receipt.verify(octets, each.identity, self.clock.seconds()))
        return receipts
