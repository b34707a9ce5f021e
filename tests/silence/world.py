"""What the search is made in: a network of real processes, and much that goes wrong in it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.mail import smtp
from typing_extensions import override

from mixminion.benchmarks.parts import view_of
from mixminion.counters import Counters
from mixminion.crypto import sign
from mixminion.crypto.rng import SystemRandom
from mixminion.directory.view import View
from mixminion.disk import private
from mixminion.mix.batches import Answer
from mixminion.mix.keys import PacketKeys
from mixminion.mix.unwrapping import Unwrapping
from mixminion.mmtp import ALPN
from mixminion.mmtp.client import connect
from mixminion.net.alpn import link_factory
from mixminion.net.links import LinkCredentials, certify
from mixminion.net.tls import client_tls, server_tls
from mixminion.net.transport import LinkClientFactory
from mixminion.payload import frame, message, receipt, reply
from mixminion.payload.fragments import Coding, Fragment, Whole
from mixminion.sphinx import build, surb
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx.build import Hop
from mixminion.sphinx.unwrap import Deliver, Relay
from mixminion.testing.authorities import LocalAuthority
from mixminion.testing.commands import free_port, wait_until
from mixminion.testing.network import LocalNetwork, Mix
from mixminion.testing.sender import Sender
from mixminion.testing.smtp import Received, Script, Sink, SinkSession
from tests.silence.search import Secrets

OUTSIDE = Path(__file__).parent / "outside"
TWISTD = [sys.executable, "-P", "-c", "from twisted.scripts.twistd import run; run()"]
GEOMETRY = geometries.default()
DAY = 86_400
clock: Any = reactor


ROOMS = (
    "mixminion.dirhttp.resource.DocumentsResource.render",
    "mixminion.control.server._SessionFactory.answer",
    "mixminion.exits.smtp_session.Session.lineReceived",
    "mixminion.exits.smtp.SmtpExit.deliver",
    "mixminion.exits.lane.Lane._hand_over",
    "mixminion.exits.answering.Answering.departure",
    "mixminion.exits.joining.Joiner.blocks",
    "mixminion.mix.receipts.Receipts.make",
    "mixminion.mix.receipts.Receipts.depart",
    "mixminion.exits.delivery.Delivery._accept",
    "mixminion.net.alpn.AlpnProtocol.handshakeCompleted",
    "mixminion.mmtp.server.ServerSession.dataReceived",
    "mixminion.mmtp.link.Link.dataReceived",
    "mixminion.mix.intake.Intake.receive",
    "mixminion.mix.worker.Worker.dataReceived",
    "mixminion.mix.pipeline.Pipeline._accept",
    "mixminion.mix.outgoing.Outgoing.offer",
    "mixminion.mix.pool.Pool.add",
    "mixminion.mixing.poisson.Poisson.release",
    "mixminion.store.transaction.Transaction.read",
    "mixminion.queues.destination.DestinationQueue.take",
    "mixminion.store.transaction.Transaction._put",
    "mixminion.store.transaction.Transaction.take_in",
)
"""Methods of a server that are made to fail, one after another, its ends first: what fails
further inside may leave nothing to go on with."""


def word(kind: str) -> str:
    """A word that is found nowhere by chance."""
    return f"{kind}{secrets.token_hex(5)}"


class Clients:
    """Addresses of clients, each used once, all looked for."""

    def __init__(self, known: Secrets) -> None:
        self._known = known
        self._next = 0

    def address(self) -> str:
        """One more."""
        self._next += 1
        address = f"127.201.{self._next // 100 + 100}.{self._next % 100 + 100}"
        self._known.add("client", address, bytes(map(int, address.split("."))))
        return address


class Running:
    """A daemon whose output is kept."""

    def __init__(
        self, mix: Mix | LocalAuthority, environment: dict[str, str], plugin: str = "mixminion"
    ) -> None:
        self.mix = mix
        self.outputs = [mix.home / "stdout", mix.home / "stderr"]
        with open(self.outputs[0], "ab") as out, open(self.outputs[1], "ab") as err:
            self.process = subprocess.Popen(
                [*TWISTD, "-n", plugin, "--config", str(mix.config)],
                cwd=mix.home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def wait(self) -> None:
        """Until it answers."""

        def ready() -> bool:
            try:
                return bool(self.mix.ask("status")["ready"])
            except Exception:
                return self.process.poll() is not None

        wait_until(ready, 30.0, f"{self.mix.nickname} does not answer")
        if self.process.poll() is not None:
            raise AssertionError(self.outputs[1].read_text() + self.outputs[0].read_text())

    def stop(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise


class Rude(Sink):
    """A mail server that quotes whom it refuses, and what."""

    def __init__(self, keep: Callable[[Received], None]) -> None:
        super().__init__(clock, keep=keep)

    @override
    def buildProtocol(self, addr: object) -> SinkSession:
        session = RudeSession(self)
        self.sessions.append(session)
        return session


class RudeSession(SinkSession):
    """Its answers quote the mail; two sessions at a time do not hear each other's recipients."""

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self._own = Script(recipient=self._answer_to)

    @property
    @override
    def script(self) -> Script:
        """This session's."""
        return self._own

    def _answer_to(self, address: str) -> int:
        """By the first letters of the local part; what concerns the whole mail is set here."""
        script = self._own
        script.cut_after = 20 if address.startswith("cut") else None
        script.early_answer = 554 if address.startswith("early") else None
        script.delay = 1.5 if address.startswith("slow") else 0.0
        script.end = {"endt": 451, "endp": 554}.get(address[:4], 250)
        return {"temp": 451, "perm": 550, "away": 421}.get(address[:4], 250)

    @override
    def validateTo(self, user: smtp.User) -> smtp.User:
        code = self.script.recipient(str(user.dest))
        if code == 421:
            self.sendCode(421, f"go away with <{user.dest}>".encode())
            self.transport.loseConnection()
        return super().validateTo(user)

    @override
    def sendCode(self, code: int, message: bytes = b"") -> None:
        if code >= 400:
            quoted = b" ".join([*map(str.encode, self._accepted), *self._lines])[:300]
            message += b" " + quoted.replace(b"\r\n", b" ")
        super().sendCode(code, message)


class World:
    """Five mixes of one level of logging, the mail server, and whoever sends."""

    rooms: Sequence[str] = ROOMS

    def __init__(self, folder: Path, level: str) -> None:
        self.folder = folder.absolute()
        self.secrets = Secrets()
        self.clients = Clients(self.secrets)
        self.random = SystemRandom()
        self.network = LocalNetwork(self.folder / "network")
        self.level = level
        self.authority = f"127.0.0.1:{free_port(['127.0.0.1'])}"
        self.loud = self.folder / "loud"
        self.outside = self.folder / "outside"
        self.mails: list[Received] = []
        self.requests = 0  #: that somebody made who took this process for an authority
        self.running: list[Running] = []
        self.others: dict[str, bytes] = {}  #: what was read elsewhere, by name

    # -- making and ending it ------------------------------------------------------------------

    def make(self) -> None:
        """Homes and configurations."""
        self.network.make()
        shutil.copytree(OUTSIDE, self.outside)
        self.loud.mkdir()
        self.break_down("")
        (self.loud / "rooms").write_text("\n".join(self.rooms))
        for mix in self.network.mixes:
            text = mix.config.read_text().replace("512 MiB", "16 MiB")
            text = text.replace(
                "[Exit smtp]\n", "[Exit smtp]\nretry-first = 1 s\nidle-timeout = 2 s\n"
            )
            text += f"\n[Log]\nlevel = {self.level}\n"
            text += "\n[Exit loud]\nmodule = loud\nretry-first = 1 s\nretry-longest = 2 s\n"
            text += self.more(mix)
            key = self.network.directory.lines[0]
            mix.config.write_text(text.replace(key, f"{key} http://{self.authority}/"))
        self.view: View = view_of(self.network.folder)

    def more(self, mix: Mix) -> str:
        """What its configuration has besides."""
        return ""

    def start(self) -> None:
        """Every mix."""
        paths = os.pathsep.join([str(self.outside), *os.environ.get("PYTHONPATH", "").split()])
        environment = os.environ | {"PYTHONPATH": paths, "LOUD": str(self.loud)}
        self.running = [Running(mix, environment) for mix in self.network.mixes]
        for running in self.running:
            running.wait()

    def listen(self) -> Any:
        """The mail server, in this process."""
        host, _, port = self.network.relay.rpartition(":")
        return clock.listenTCP(int(port), Rude(self.mails.append), interface=host)

    def listen_as_authority(self) -> Any:
        """An authority that says much and nothing that can be believed, in this process."""
        host, _, port = self.authority.rpartition(":")
        factory: Any = Factory.forProtocol(lambda: Quoting(self))
        factory.noisy = False
        return clock.listenTCP(int(port), factory, interface=host)

    def stop(self) -> None:
        """Every mix."""
        for running in self.running:
            running.stop()

    def break_down(self, place: str) -> None:
        """Which part of the servers fails from now on; one of :data:`ROOMS`, or none."""
        private.write(self.loud / "room", place.encode())

    def broken(self) -> set[str]:
        """Which parts have failed so far."""
        path = self.loud / "broken"
        return set(path.read_text().split()) if path.exists() else set()

    def fail_workers(self, failing: bool) -> None:
        """Have the workers fail with the next packets."""
        path = self.loud / "worker"
        path.touch() if failing else path.unlink()

    # -- packets -------------------------------------------------------------------------------

    def hops(self, path: Sequence[int], delay_ms: int = 200) -> list[Hop]:
        """A path by places in the view."""
        period = self.view.current_period(time.time())
        servers = [self.view.servers[at] for at in path]
        return [
            Hop(each.node_id, self.view.packet_key(each.identity, period), delay_ms)
            for each in servers
        ]

    def path(self, length: int = 4) -> list[int]:
        """Any mixes, an exit to mail last."""
        order = list(range(len(self.view.servers)))
        self.random.shuffle(order)
        exits = [n for n in order if self.mix(n).exit]
        return [n for n in order if n != exits[0]][: length - 1] + exits[:1]

    def mix(self, at: int) -> Mix:
        """The mix at a place of the view."""
        name = self.view.servers[at].nickname
        return next(mix for mix in self.network.mixes if mix.nickname == name)

    def text(self) -> bytes:
        """A mail's octets, each word looked for."""
        subject, words = word("Subject"), [word("Word") for _ in range(4)]
        self.secrets.add("subject", subject)
        self.secrets.add("word", *words)
        return f"Subject: {subject}\r\n\r\n{' '.join(words)}\r\n".encode()

    def recipient(self, begins: str) -> str:
        """An address, looked for with its local part."""
        local = word(begins)
        self.secrets.add("local part", local)
        self.secrets.add("address", f"{local}@example.test")
        return f"{local}@example.test"

    def mail(
        self,
        exit: str,
        begins: str = "ok",
        length: int = 4,
        delay_ms: int = 200,
        recipients: Sequence[str] = (),
    ) -> tuple[int, bytes]:
        """A packet and the place of its first mix; without *recipients* to a new address."""
        path = self.path(length)
        recipients = recipients or [self.recipient(begins)]
        body = message.to_body(GEOMETRY, exit, recipients, self.text(), self.random)
        packet = build.forward(GEOMETRY, self.hops(path, delay_ms), body, self.random)
        self.trace(packet, path)
        return path[0], packet

    def reply(self) -> tuple[int, bytes]:
        """A reply on its way to the crossover."""
        back, path = self.path(3), self.path(3)
        now = int(time.time())
        address = self.recipient("reply")
        block, key = surb.make(
            GEOMETRY, self.hops(back), "loud", address, now, now + DAY, self.random
        )
        self.secrets.add("SURB id", key.surb_id)
        body = reply.to_body(GEOMETRY, block, self.text(), self.random)
        packet = build.crossover(GEOMETRY, self.hops(path), body, self.random)
        self.trace(packet, [*path, *back])
        return path[0], packet

    def asking(self, exit: str, begins: str = "ok", attempts: int = 1) -> list[tuple[int, bytes]]:
        """A mail that asks for a receipt, so many times."""
        id, recipient, text = self.random.octets(16), self.recipient(begins), self.text()
        self.secrets.add("message id", id)
        made: list[tuple[int, bytes]] = []
        end = self.path(1)[0]
        for attempt in range(attempts):
            block, key = self.block()
            self.secrets.add("SURB id", key.surb_id)
            encoded = block.encode()
            self.secrets.add("reply block", encoded[40:60], encoded[-64:-40])
            coded = receipt.asking([encoded]) + message.encode(exit, [recipient], text)
            whole = Whole(id, Coding.RECEIPT, len(coded), 26_000, attempt)
            part = Fragment(whole, 0, 0, coded.ljust(26_000, b"\0")).encode()
            body = frame.encode(frame.Kind.FRAGMENT, part, GEOMETRY.body, self.random)
            path = [*[at for at in self.path(5) if at != end][:2], end]
            packet = build.forward(GEOMETRY, self.hops(path), body, self.random)
            self.trace(packet, path)
            made.append((path[0], packet))
        return made

    def block(self) -> tuple[surb.Surb, surb.SurbKey]:
        """A reply block to a new address."""
        now, address = int(time.time()), self.recipient("reply")
        back = self.hops(self.path(3))
        return surb.make(GEOMETRY, back, "loud", address, now, now + DAY, self.random)

    def trace(self, packet: bytes, path: Sequence[int]) -> None:
        """Follow a packet with the mixes' own keys, and look for what it is on its way."""
        period = self.view.current_period(time.time())
        for at in path:
            server = self.view.servers[at]
            self.secrets.add("packet", packet[:16], packet[16:32])
            keys = PacketKeys(self.mix(at).home / "keys", server.node_id)
            (answer,) = Unwrapping(keys).unwrap([period], [packet])
            assert isinstance(answer, Answer)
            self.secrets.add("tag", answer.result.tag)
            if isinstance(answer.result, Relay):
                packet = answer.result.packet
            elif isinstance(answer.result, Deliver):
                self.secrets.add("body", answer.result.body[:24])

    # -- senders -------------------------------------------------------------------------------

    def endpoint(self, at: int) -> TCP4ClientEndpoint:
        """To a mix, from a client's address of its own."""
        host, _, port = self.mix(at).address.rpartition(":")
        return TCP4ClientEndpoint(clock, host, int(port), 10, (self.clients.address(), 0))

    async def send(
        self,
        at: int,
        packets: Sequence[bytes],
        credentials: LinkCredentials | None = None,
        identity: bytes | None = None,
        patience: float = 10.0,
    ) -> Sender:
        """Hand packets over; waits for the link's end."""
        sender = Sender(packets)
        expected = identity or self.view.servers[at].identity
        _ = connect(
            clock,
            self.endpoint(at),
            client_tls(expected, credentials, [ALPN], clock),
            GEOMETRY.packet,
            sender,
        ).addErrback(sender.failed)
        end = time.monotonic() + patience
        while not sender.over and time.monotonic() < end:
            await deferLater(clock, 0.01)
        return sender

    async def say(self, at: int, octets: bytes, alpn: bytes | None = None) -> bytes:
        """Say something to a mix's port, over TLS when there is a protocol; what it answered."""
        talk = Talk(octets)
        factory: Any = Factory.forProtocol(lambda: talk)
        factory.noisy = False
        if alpn is not None:
            tls = client_tls(self.view.servers[at].identity, None, [alpn], clock)
            factory = LinkClientFactory(tls, factory, clock)
        try:
            await self.endpoint(at).connect(factory)
        except Exception:
            return b""
        end = time.monotonic() + 1.0
        while not talk.over and time.monotonic() < end:
            await deferLater(clock, 0.01)
        if not talk.over:
            with suppress(AttributeError):  # TLS that was refused has nothing to abort
                talk.transport.abortConnection()
        return talk.heard

    def stranger(self, begins: float, ends: float) -> LinkCredentials:
        """Somebody whom no directory lists."""
        identity_private, identity = sign.generate()
        signing_private, signing = sign.generate()
        now = int(time.time())
        certificate = certify(
            identity_private, signing, int(now + begins * DAY), int(now + ends * DAY)
        )
        return LinkCredentials(identity, signing_private, certificate, clock)

    # -- harm ----------------------------------------------------------------------------------

    def signal_workers(self, number: int) -> None:
        """To every worker that runs."""
        for mix in self.network.mixes:
            for pid in mix.ask("status")["pids"][1:]:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def impostor(self, at: int) -> Any:
        """Somebody listens where that mix did, with an identity of his own."""
        (running,) = (each for each in self.running if each.mix == self.mix(at))
        running.stop()
        factory: Any = Factory()
        tls = server_tls(self.stranger(-1, 59), [ALPN], clock)
        links = link_factory(tls, {ALPN: factory}, clock, Counters())
        host, _, port = self.mix(at).address.rpartition(":")
        return clock.listenTCP(int(port), links, interface=host)

    # -- what is searched ----------------------------------------------------------------------

    def written(self) -> dict[str, bytes]:
        """All that was written but for keys, the store and the directory."""
        texts = dict(self.others)
        for mix in self.network.mixes:
            for path in mix.home.rglob("*"):
                inside = path.relative_to(mix.home).parts[0]
                if path.is_file() and inside not in ("keys", "store", "directory"):
                    texts[f"{mix.nickname}/{path.relative_to(mix.home)}"] = path.read_bytes()
        return texts

    def said_aloud(self) -> dict[str, bytes]:
        """What would have been written by servers that are not silent."""
        return {path.name: path.read_bytes() for path in self.loud.glob("loud.*")}


class Quoting(Protocol):
    """Answers a request with its octets and marks, in all ways in turn."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.transport: Any

    @override
    def dataReceived(self, data: bytes) -> None:
        mark = word("Mark")
        self._world.secrets.add("mark", mark)
        text, number = mark.encode(), self._world.requests
        self._world.requests += 1
        quoted = data[:100].replace(b"\r\n", b" ")
        head = b"HTTP/1.1 %d %b\r\nX-%b: %b\r\nContent-Length: %d\r\n\r\n"
        self.transport.write(
            (
                head % (418, text + quoted, text, quoted, 0),
                head % (200, text, text, text, 9) + text[:9],
                head % (200, text, text, text, 999) + text,
                head % (302, text, b"A\r\nLocation: http://" + text + b"/" + text, text, 0),
                text + b" " + quoted,
                b"",
            )[number % 6]
        )
        self.transport.loseConnection()


class Talk(Protocol):
    """Says one thing."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.heard = b""
        self.over = False
        self.transport: Any

    @override
    def connectionMade(self) -> None:
        self.transport.write(self._octets)

    @override
    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    @override
    def connectionLost(self, reason: object = None) -> None:
        self.over = True
