"""Nothing that identifies a client, or was sent by one, is written down by an authority either,
at any level, whatever goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from mixminion.authority.server import REGISTER
from mixminion.crypto import sign as ed25519
from mixminion.directory.descriptor import PROTOCOLS, Descriptor, PacketKey
from mixminion.directory.envelope import PayloadType, sign
from mixminion.disk import private
from mixminion.testing.authorities import PREFIX, LocalAuthorities, LocalAuthority
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.commands import wait_until
from mixminion.testing.directory import server_signer
from mixminion.util.hostport import HostPort
from tests.silence.search import Secrets
from tests.silence.world import OUTSIDE, Clients, Running, word

LEVELS = ("debug", "info", "warn", "error")
DAY = 86_400
WEEK = 7 * DAY

ROOMS = (
    "mixminion.control.server._SessionFactory.answer",
    "mixminion.authority.site.Admitting.buildProtocol",
    "mixminion.authority.site.AuthorityChannel.allHeadersReceived",
    "mixminion.dirhttp.site.QuietChannel.headerReceived",
    "mixminion.dirhttp.resource.DocumentsResource.render",
    "mixminion.authority.web.AuthorityResource.render",
    "mixminion.authority.web.AuthorityResource._described",
    "mixminion.authority.intake.Intake.offer",
    "mixminion.authority.register.Register.describe",
    "mixminion.authority.receipts.Receipts.of",
    "mixminion.authority.dialback.DialBack._dial",
    "mixminion.authority.rounds.Rounds.offered",
    "mixminion.authority.rounds.Rounds.signatures_offered",
    "mixminion.authority.peers.HttpPeers.post",
    "mixminion.authority.voting.Voting.make_vote",
)
"""Methods of an authority that are made to fail, one after another."""


class AuthoritySilenceTests(SyncTestCase):
    """Four authorities, one of each level: each gets the same."""

    def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp())  # a short path, as sockets want it
        self.addCleanup(shutil.rmtree, folder)
        self.secrets = Secrets()
        self.clients = threading.local()  # of each thread its own; they may be the same
        self.loud, outside = folder / "loud", folder / "outside"
        self.authorities = LocalAuthorities(
            folder / "authorities", len(LEVELS), admission=["servers-per-network = 1000"]
        )
        self.authorities.make()
        shutil.copytree(OUTSIDE, outside)
        self.loud.mkdir()
        (self.loud / "rooms").write_text("\n".join(ROOMS))
        self.break_down("")
        paths = os.pathsep.join([str(outside), *os.environ.get("PYTHONPATH", "").split()])
        environment = os.environ | {"PYTHONPATH": paths, "LOUD": str(self.loud)}
        self.running = []
        for each, level in zip(self.authorities.all, LEVELS, strict=True):
            text = each.config.read_text()
            each.config.write_text(f"{text}\n[Log]\nlevel = {level}\n")
            self.running.append(Running(each, environment, "mixminion-authority"))
            self.addCleanup(self.running[-1].stop)
        for running in self.running:
            running.wait()

    def break_down(self, place: str) -> None:
        """Which part of the authorities fails from now on; one of :data:`ROOMS`, or none."""
        private.write(self.loud / "room", place.encode())

    def address(self) -> str:
        """Of a client, or of a server where nobody answers."""
        if not hasattr(self.clients, "each"):
            self.clients.each = Clients(self.secrets)
        address: str = self.clients.each.address()
        return address

    def all_at_once(self, work: Callable[[LocalAuthority], object]) -> None:
        """Do it to every authority."""
        with ThreadPoolExecutor(len(LEVELS)) as threads:
            list(threads.map(work, self.authorities.all))

    def mark(self) -> str:
        """A word that somebody sends."""
        mark = word("Mark")
        self.secrets.add("mark", mark)
        return mark

    # -- what is sent ----------------------------------------------------------------------------

    def say(self, each: LocalAuthority, octets: bytes, cut: bool = False) -> bytes:
        """Say something to its port from an address of our own; what it answered."""
        try:
            with closing(
                socket.create_connection((each.host, each.port), 5, (self.address(), 0))
            ) as talk:
                talk.settimeout(0.5)
                talk.sendall(octets)
                if cut:
                    return b""
                return b"".join(iter(lambda: talk.recv(65536), b""))
        except OSError:
            return b""

    def request(self, line: str, mark: str, body: bytes = b"", length: int | None = None) -> bytes:
        """An HTTP request with *mark* in every field of its header."""
        fields = ["Host", "User-Agent", "Referer", "X-Forwarded-For", "Forwarded", "Cookie"]
        fields += ["Authorization", "If-None-Match", "If-Range", "Range", "Accept-Encoding"]
        lines = [line, *(f"{field}: {mark}" for field in fields), "Connection: close"]
        lines.append(f"Content-Length: {len(body) if length is None else length}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    def odd(self) -> Iterator[bytes]:
        """What is no request, or one that nobody should make."""
        mark = self.mark()
        text = mark.encode()
        yield os.urandom(500)
        yield text * 2000
        yield b"EHLO " + text + b"\r\n"
        yield b"\x16\x03\x01\x00\x40" + text * 5
        yield b"GET /" + text * 1000 + b" HTTP/1.1\r\n\r\n"
        yield b"GET / HTTP/1.1\r\n" + (text + b": " + text + b"\r\n") * 300 + b"\r\n"
        yield b"POST / HTTP/1.1\r\nContent-Length: " + text + b"\r\n\r\n"
        yield b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 90 + b"\r\n\r\n" + text
        yield b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + text + b"\r\n" + text
        yield b"POST / HTTP/1.1\r\nTransfer-Encoding: " + text + b"\r\n\r\n" + text
        yield self.request(f"{mark} /{mark} HTTP/1.1", mark)
        yield self.request(f"GET http://{mark}/{mark}?{mark} HTTP/1.1", mark)
        yield self.request(f"GET /{mark} HTTP/{mark}", mark)

    def asked(self) -> Iterator[bytes]:
        """Documents that are there, and some that are not."""
        mark = self.mark()
        hexed = mark.encode().ljust(32, b"\0").hex()
        names = ["consensus", "digests", f"keys/{hexed}", f"descriptors/{hexed}", "", mark]
        names += [f"votes/17/{hexed}", f"votes/{mark}/{hexed}", f"evidence/17/{hexed}"]
        names += [f"signatures/{mark}", f"standing/{hexed}", f"standing/{mark}"]
        names += [f"consensus/{hexed}", f"consensus-diff/{hexed}", f"keys-diff/{hexed}/{hexed}"]
        for name in names:
            yield self.request(f"GET {PREFIX}{name}?{mark} HTTP/1.1", mark)
            yield self.request(f"HEAD {PREFIX}{name} HTTP/1.0", mark)

    def uploaded(self) -> Iterator[bytes]:
        """What is no descriptor, vote or set of signatures; and descriptors that are some."""
        mark = self.mark()
        text = mark.encode()
        signer = server_signer(ed25519.generate()[0], now=time.time())
        payload = json.dumps({"version": 1, mark: mark}).encode()
        bodies = [text, b"[" * 5000 + text, b'{"' + text, json.dumps({mark: [mark]}).encode()]
        bodies += [sign(kind, payload, [signer]).encode() for kind in PayloadType]
        for name in ("descriptor", "vote", "signatures"):
            line = f"POST {PREFIX}{name} HTTP/1.1"
            for body in bodies:
                yield self.request(line, mark, body)
            yield self.request(line, mark, text, length=1000)
            yield self.request(line, mark, text, length=10**9)
        line = f"POST {PREFIX}descriptor HTTP/1.1"
        yield self.request(line, mark, self.descriptor())
        yield self.request(line, mark, self.descriptor(published=1, valid_after=1, valid_until=DAY))
        yield self.request(line, mark, self.descriptor(addresses=(HostPort("10.1.2.3", 99),)))

    def descriptor(self, **changes: Any) -> bytes:
        """That of a server at whose address nobody answers."""
        private_key, identity = ed25519.generate()
        nickname, contact, host = word("Nick"), word("Contact"), self.address()
        self.secrets.add("server", nickname, contact, identity)
        now = int(time.time())
        fields: dict[str, Any] = {
            "identity": identity,
            "nickname": nickname,
            "contact": contact,
            "start": 1,
            "published": now,
            "valid_after": now,
            "valid_until": now + 30 * DAY,
            "addresses": (HostPort(host, 9),),
            "protocols": PROTOCOLS,
            "suites": ("xwing",),
            "packet_keys": tuple(
                PacketKey(period=now // WEEK + n, suite="xwing", key=bytes(1216)) for n in range(2)
            ),
        }
        return Descriptor(**(fields | changes)).sign(server_signer(private_key, now=now))

    def knock(self, each: LocalAuthority) -> None:
        """All of it, and the control socket."""
        answers = [self.say(each, octets) for octets in (*self.asked(), *self.uploaded())]
        for octets in self.odd():
            answers.append(self.say(each, octets))
            self.say(each, octets[: len(octets) // 2], cut=True)
        for code in (b" 200 ", b" 400 ", b" 404 ", b" 413 "):
            self.assertTrue([a for a in answers if code in a[:20]], code)
        self.control(each)

    def control(self, each: LocalAuthority) -> None:
        """Junk to the commands' socket, and commands about servers."""
        mark = self.mark()
        lines = [
            mark,
            json.dumps([mark]),
            json.dumps({"command": mark, "arguments": {}}),
            "\0" * 99,
        ]
        lines += [json.dumps({"command": name, "arguments": mark}) for name in ("status", "decide")]
        decision = {"name": mark, "decision": "approved", "exit": False, "note": mark}
        lines.append(json.dumps({"command": "decide", "arguments": decision}))
        for line in lines:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(2)
                try:
                    connection.connect(str(each.home / "control"))
                    connection.sendall(line.encode() + b"\n")
                    connection.recv(1000)
                except OSError:
                    continue

    def some(self, each: LocalAuthority) -> None:
        """A little of everything."""
        mark = self.mark()
        self.say(each, self.request(f"POST {PREFIX}descriptor HTTP/1.1", mark, self.descriptor()))
        for name in ("vote", "signatures", mark):
            self.say(each, self.request(f"POST {PREFIX}{name} HTTP/1.1", mark, mark.encode()))
        self.say(each, self.request(f"GET {PREFIX}{mark} HTTP/1.1", mark))
        self.control(each)

    def rooms(self) -> None:
        """Every part fails with all it knows in its exception."""
        for place in ROOMS:
            self.break_down(place)
            for _ in range(10):
                self.all_at_once(self.some)
                if place in self.broken():
                    break
            else:
                wait_until(lambda: place in self.broken(), 30.0, f"{place} did not fail")  # noqa: B023
        self.break_down("")

    def broken(self) -> set[str]:
        """Which parts have failed so far."""
        path = self.loud / "broken"
        return set(path.read_text().split()) if path.exists() else set()

    # -- the search ------------------------------------------------------------------------------

    def written(self) -> dict[str, bytes]:
        """All that was written but for keys and documents."""
        texts = {}
        for each in self.authorities.all:
            for path in each.home.rglob("*"):
                inside = path.relative_to(each.home).parts[0]
                documents = ("keys", "archive", "directory", REGISTER)
                if path.is_file() and inside.removesuffix("-wal") not in documents:
                    texts[f"{each.nickname}/{path.relative_to(each.home)}"] = path.read_bytes()
        return texts

    def test_every_level(self) -> None:
        """Refused and broken requests and uploads, clients that go away, servers that cannot be
        dialled, junk to the control socket, and parts of the authority that fail."""
        self.all_at_once(self.knock)
        self.rooms()
        for running in self.running:
            running.stop()
        written = self.written()
        logs = [f"{each.nickname}/log/authority.log" for each in self.authorities.all]
        self.assertEqual([log for log in logs if not written.get(log)], [])
        found = self.secrets.search(written)
        self.assertEqual(found, [], "\n".join(map(str, found[:40])))
        aloud = {path.name: path.read_bytes() for path in self.loud.glob("loud.*")}
        kinds = Counter(each.kind for each in self.secrets.search(aloud))
        self.assertEqual({"client", "mark", "server"} - kinds.keys(), set(), kinds)
        mark = self.mark()
        for log in logs:
            planted = {log: written[log] + f"said {mark}\n".encode()}
            self.assertEqual([e.kind for e in self.secrets.search(planted)], ["mark"])
