"""Nothing that identifies a message, a user or an address is written down, whatever goes wrong."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.threads import deferToThread

from mixminion import api
from mixminion.interfaces import Refusal
from mixminion.mmtp import ALPN
from mixminion.testing.cases import AsyncTestCase
from mixminion.testing.commands import wait_until
from tests.silence.world import GEOMETRY, ROOMS, World, clock, word

HTTP = b"http/1.1"
BEGINNINGS = ("ok", "temp", "perm", "cut", "early", "slow", "endt", "endp", "away")


class SilenceCase(AsyncTestCase):
    """A network of real processes, of one level."""

    timeout = 300
    level = "debug"

    async def setUp(self) -> None:  # type: ignore[override]
        self.world = self.make_world(Path(self.mktemp()))
        await deferToThread(self.world.make)
        for port in (self.world.listen(), self.world.listen_as_authority()):
            self.addCleanup(port.stopListening)
        self.addCleanup(deferToThread, self.world.stop)
        await deferToThread(self.world.start)

    def make_world(self, folder: Path) -> World:
        """What it is searched in."""
        return World(folder, self.level)

    # -- what goes wrong -----------------------------------------------------------------------

    async def knock(self) -> None:
        """Whatever may come to a port that is no packet."""
        world = self.world
        marks = [word("Mark") for _ in range(8)]
        world.secrets.add("mark", *marks)
        text = marks[0].encode()
        said: list[tuple[bytes, bytes | None]] = [
            (os.urandom(500), None),
            (text * 50, None),
            (b"", None),
            (b"GET /" + text + b" HTTP/1.1\r\nHost: " + text + b"\r\n\r\n", None),
            (b"EHLO " + text + b"\r\n", None),
            (b"\x16\x03\x01\x00\x40" + text * 5, None),
            (text * 30, b"mmtp/1"),
            (b"\x01\x00\x00\x00\x00\x00\x00\x00" + text * 3000, ALPN),
            (b"\x01\x00\x00\x00\x00\x00\x00\x00" + text * 3, ALPN),  # and then nothing more
            (b"\x09" + text * 10, ALPN),
            (text * 5000, HTTP),
        ]
        for mark in marks[1:]:
            for path in (f"/{mark}", f"/mixminion/keys/{mark}", f"/%2e%2e/{mark}?who={mark}"):
                head = f"GET {path} HTTP/1.1\r\nHost: {mark}\r\nX-Forwarded-For: {mark}\r\n"
                head += f"Cookie: {mark}\r\nUser-Agent: {mark}\r\n\r\n"
                said.append((head.encode(), HTTP))
            said += [(request, HTTP) for request in self.documents(mark)]
            post = f"POST /{mark} HTTP/1.1\r\nHost: {mark}\r\nContent-Length: 9\r\n\r\n{mark}"
            said.append((post.encode(), HTTP))
            said.append((f"{mark} /{mark} {mark}\r\n\r\n".encode(), HTTP))
        heard = await self.together(
            [world.say(n % 5, octets, alpn) for n, (octets, alpn) in enumerate(said)]
        )
        for code in (b"200 OK", b"404 Not Found", b"413 Content Too Large"):
            self.assertTrue(any(code in answer for answer in heard), code)

    def documents(self, mark: str) -> Iterator[bytes]:
        """Requests for the directory, with *mark* wherever a client may write something."""
        fields = ["Host", "If-None-Match", "If-Range", "Range", "Accept-Encoding", "User-Agent"]
        head = "".join(f"{field}: {mark}\r\n" for field in fields) + "Connection: close\r\n\r\n"
        digest = mark.encode().ljust(32, b"\0").hex()
        names = ["consensus", "descriptor", f"keys/{digest}", f"consensus/{digest}", "digests"]
        names += [f"consensus-diff/{digest}", f"keys-diff/{digest}/{digest}", f"keys/{mark}"]
        for name in names:
            yield f"GET /mixminion/2/{name}?{mark} HTTP/1.1\r\n{head}".encode()
        length = f"Content-Length: {len(mark)}\r\n"
        for name in ("descriptor", "vote", mark):
            yield f"POST /mixminion/2/{name} HTTP/1.1\r\n{length}{head}{mark}".encode()

    async def directory(self) -> None:
        """An authority that quotes what it was sent, or hangs up; mixes are told to publish."""
        asked = [deferToThread(mix.ask, "publish") for mix in self.world.network.mixes]
        for _, answer in await DeferredList(asked):
            self.assertIn("authorities", answer)
        self.assertGreaterEqual(self.world.requests, 2 * len(asked))

    async def strangers(self) -> None:
        """Wrong TLS identities, on either side."""
        world = self.world
        packet = world.mail("smtp")[1]
        own = world.stranger(-1, 59)
        for n in range(5):
            for credentials in (own, world.stranger(-60, -1), world.stranger(1, 50)):
                await world.send(n, [packet], credentials)
            world.secrets.add("identity", own.identity_public)
            await world.send(n, [packet], identity=own.identity_public)

    async def mails(self, count: int) -> None:
        """Mails by all paths to all ends, some by the client, from an address each."""
        world = self.world
        made = []
        for n in range(count):
            if n % 2 == 1:
                made.append(world.mail("loud"))
            elif n % 10 == 8:
                made.append(world.reply())
            elif n % 20 == 10:
                made.append(world.mail("no-such-exit"))
            else:
                made.append(world.mail("smtp", BEGINNINGS[n // 2 % len(BEGINNINGS)]))
        for begins in ("ok", "perm", "temp", "away"):
            made += world.asking("smtp", begins, 2)
        for first in range(0, len(made), 20):
            some = made[first : first + 20]
            await self.together([world.send(at, [packet]) for at, packet in some])
        await self.harm(made[: count // 5])
        client = api.Client(clock, api.load_config(str(world.network.client_config)))
        self.addCleanup(lambda: Deferred.fromCoroutine(client.close()))
        for begins in ("ok", "perm"):
            subject, text = word("Subject"), word("Word")
            world.secrets.add("word", subject, text)
            with contextlib.suppress(api.NotHandedOver):
                await client.send(world.recipient(begins), text.encode(), subject=subject)

    async def harm(self, made: list[tuple[int, bytes]]) -> None:
        """Replays, bad MACs, junk, cover and nonsense inside."""
        world = self.world
        wrong = []
        for at, packet in made:
            middle = bytearray(packet)
            middle[1500] ^= 1
            tail = bytearray(packet)
            tail[-1] ^= 1
            junk = os.urandom(GEOMETRY.packet)
            for each in (bytes(middle), junk):
                world.secrets.add("packet", each[:16], each[-16:])
            wrong.append((at, [packet, bytes(middle), bytes(tail), junk, packet]))
        await self.together([world.send(at, packets) for at, packets in wrong])

    async def fill(self) -> None:
        """More than a store takes, to one mix whose worker sleeps."""
        world = self.world
        await deferToThread(world.signal_workers, signal.SIGSTOP)
        packets = [os.urandom(GEOMETRY.packet) for _ in range(600)]
        for packet in packets[::50]:
            world.secrets.add("packet", packet[:16])
        sender = await world.send(0, packets)
        await deferToThread(world.signal_workers, signal.SIGCONT)
        self.assertIn(Refusal.FULL, sender.refusals.values())

    async def control(self) -> None:
        """Junk to the commands' sockets, and every command's answer."""
        world = self.world
        mark = word("Mark")
        world.secrets.add("mark", mark)
        lines = [mark, json.dumps([mark]), json.dumps({"command": mark, "arguments": {}})]
        lines += [json.dumps({"command": "status", "arguments": mark}), mark * 10_000, "\0" * 99]

        def ask() -> None:
            for mix in world.network.mixes:
                for line in lines:
                    with socket.socket(socket.AF_UNIX) as connection:
                        connection.settimeout(2)
                        with contextlib.suppress(OSError):
                            connection.connect(os.path.relpath(mix.home / "control"))
                            connection.sendall(line.encode() + b"\n")
                            connection.recv(1000)

        await deferToThread(ask)

    async def status(self) -> None:
        """What the operator is shown."""

        def ask() -> None:
            for mix in self.world.network.mixes:
                for _ in range(8):  # rooms that fail now and then
                    with contextlib.suppress(Exception):
                        answer = json.dumps(mix.ask("status")).encode()
                        self.world.others[f"{mix.nickname} status"] = answer
                        break

        await deferToThread(ask)

    async def rooms(self) -> None:
        """Every part of a server fails with all it knows in its exception."""
        world = self.world
        for place in ROOMS:
            world.break_down(place)
            for _ in range(10):
                made = [world.mail(exit, length=2, delay_ms=0) for exit in ("loud", "smtp") * 2]
                made += world.asking("smtp")
                calls = [world.send(at, [packet], patience=1.5) for at, packet in made]
                await self.together([*calls, self.knock_http(), self.status()])
                if place in world.broken():
                    break
            self.assertIn(place, world.broken())
        world.break_down("")

    async def workers(self) -> None:
        """They fail with a packet in the exception, and are killed."""
        world = self.world
        world.fail_workers(True)
        made = [world.mail("smtp", length=1) for _ in range(6)]
        await self.together([world.send(at, [packet]) for at, packet in made])
        await deferToThread(wait_until, self.worker_failed, 20.0, "no worker failed")
        world.fail_workers(False)
        await deferToThread(world.signal_workers, signal.SIGKILL)

    def worker_failed(self) -> bool:
        """Whether one said so."""
        return any(b"ValueError" in each.outputs[1].read_bytes() for each in self.world.running)

    async def impostor(self) -> None:
        """A mix meets a server that has not the identity it dialled."""
        world = self.world
        path = world.path(2)
        port = await deferToThread(world.impostor, path[0])
        made = [world.mail("smtp", length=4) for _ in range(10)]
        await self.together([world.send(at, [packet]) for at, packet in made])
        await port.stopListening()

    async def knock_http(self) -> None:
        """Odd requests."""
        mark = word("Mark")
        self.world.secrets.add("mark", mark)
        head = f"GET /mixminion/{mark} HTTP/1.1\r\nHost: {mark}\r\n\r\n".encode()
        await self.together([self.world.say(at, head, HTTP) for at in range(3)])

    async def together(self, calls: list[Any]) -> list[Any]:
        results = await DeferredList(
            [Deferred.fromCoroutine(call) for call in calls], fireOnOneErrback=True
        )
        return [result for _, result in results]

    # -- the search ----------------------------------------------------------------------------

    async def run_and_search(self, count: int) -> None:
        """All of it; then nothing is found in what was written, and much in what was not."""
        world = self.world
        await self.knock()
        await self.directory()
        await self.strangers()
        await self.mails(count)
        await deferToThread(wait_until, lambda: self.ways() >= 24, 60.0, "the exit was not reached")
        await self.fill()
        await self.control()
        await self.status()
        await self.workers()
        await self.rooms()
        await self.impostor()
        await deferToThread(world.stop)
        written, aloud = world.written(), world.said_aloud()
        self.assertIn("mix1/log/mixminion.log", written)
        found = world.secrets.search(written)
        self.assertEqual(found, [], "\n".join(map(str, found[:40])))
        self.assert_there_was_something(Counter(e.kind for e in world.secrets.search(aloud)))

    def ways(self) -> int:
        """How many ways of saying it the exit has gone."""
        path = self.world.loud / "ways"
        return len(set(path.read_text().split())) if path.exists() else 0

    def assert_there_was_something(self, aloud: Counter[str]) -> None:
        """A server that is not silent would have written each kind of secret."""
        kinds = {"address", "local part", "subject", "word", "packet", "SURB id", "client", "mark"}
        self.assertEqual(kinds - aloud.keys(), set(), aloud)


class SilenceTests(SilenceCase):
    async def test_debug(self) -> None:
        """At the level that says most: a hundred mails."""
        await self.run_and_search(100)
