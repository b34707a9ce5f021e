"""Named sources: folders, and a real web server on this machine, with all that can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from mixminion.client.configuration import SECTIONS
from mixminion.client.database import Database, InlineExecutor
from mixminion.client.key_errors import KeyChanged, KeyNotFound, SourceFailed, SourcesDiffer
from mixminion.client.key_sources import Asking, KeySource, KeysSection, name_of
from mixminion.client.keys import Keys, fingerprint, text_of
from mixminion.config import ConfigErrors, parse
from mixminion.crypto import kem
from mixminion.dirhttp import requester
from mixminion.dirhttp.proxies import NO_PROXIES, Proxies, Proxy
from mixminion.errors import render
from mixminion.payload import public_key
from mixminion.testing.cases import AsyncTestCase, SyncTestCase
from mixminion.testing.certificates import Authority
from mixminion.util.hostport import HostPort
from tests.client.network import reactor
from tests.dirhttp.proxy import HttpProxy

ALICE = "alice@example.org"
NAME = name_of(ALICE)
ONE, TWO = (kem.generate()[1] for _ in range(2))


class ConfigurationTests(SyncTestCase):
    """Section [Keys]."""

    def sources(self, text: str) -> dict[str, str]:
        config = parse(
            f"[Directory]\nauthorities = {'ab' * 32}\nsources = 192.0.2.1:1\n"
            f"[Keys]\nsources = {text}",
            filename="/home/alice/mixminion.conf",
            sections=SECTIONS,
        )
        return {each.name: str(each.where) for each in config[KeysSection].sources}

    def test_good(self) -> None:
        """Folders, relative to the home or not, and addresses with their placeholders."""
        found = self.sources(
            "friends=keys, work=/srv/keys\n  web=https://keys.example.org:8443/k/{hash}.key\n"
            "  own=http://{domain}/.well-known/{hash}"
        )
        self.assertTrue(found.pop("friends").endswith("/keys"))
        self.assertEqual(
            found,
            {
                "work": "/srv/keys",
                "web": "https://keys.example.org:8443/k/{hash}.key",
                "own": "http://{domain}/.well-known/{hash}",
            },
        )
        self.assertEqual(self.sources(""), {})

    def test_bad(self) -> None:
        """No name, no digest in it, other placeholders, no address of the web, a name twice."""
        for text in (
            "/srv/keys",
            "=keys",
            "web=https://keys.example.org/all.key",
            "web=https://keys.example.org/{hash}/{address}",
            "web=https://keys.example.org/{hash",
            "web=https://keys.example.org/{hash!r}",
            "web=https://u:p@keys.example.org/{hash}",
            "web=https:///{hash}",
            "home=~/keys",
            "a=x, a=y",
            "file=keys",
        ):
            self.assertRaises(ConfigErrors, self.sources, text)


class Shelf(Resource):
    """What a server has, by path; it can also be slow or rude."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.has: dict[bytes, bytes] = {}
        self.code = 404
        self.requests: list[bytes] = []

    def render_GET(self, request: Any) -> Any:
        self.requests.append(request.path)
        octets = self.has.get(request.path)
        if octets is None:
            if self.code == 0:
                request.loseConnection()
                return NOT_DONE_YET
            request.setResponseCode(self.code)
            return b"none"
        return octets


class SourcesCase(AsyncTestCase):
    timeout = 30

    def setUp(self) -> None:
        self.shelf = Shelf()
        self.path = f"/{NAME}.key".encode()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.asking = self.make()
        self.web = KeySource("web", self.listen())

    def make(self, proxies: Proxies = NO_PROXIES, trust: Any = None) -> Asking:
        def connect(place: HostPort) -> HostnameEndpoint:
            return HostnameEndpoint(reactor, place.host, place.port)

        return Asking(reactor, connect, proxies, InlineExecutor(), trust)

    def listen(self, options: Any = None) -> str:
        """A server for the shelf; the template for it."""
        site = Site(self.shelf)
        if options is None:
            port = reactor.listenTCP(0, site, interface="127.0.0.1")
            place = f"http://127.0.0.1:{port.getHost().port}"
        else:
            port = reactor.listenSSL(0, site, options, interface="127.0.0.1")
            place = f"https://localhost:{port.getHost().port}"
        self.addCleanup(port.stopListening)
        return place + "/{hash}.key"

    async def failed(self, source: KeySource, part: str) -> None:
        with self.assertRaises(SourceFailed) as caught:
            await self.asking.ask(source, ALICE)
        self.assertIn(part, render(caught.exception))
        self.assertIn(source.name, render(caught.exception))
        self.assertNotIn(ALICE, render(caught.exception))


class FolderTests(SourcesCase):
    async def test_folder(self):
        """A file named by the digest, or by the address; nothing, and no folder."""
        source = KeySource("friends", self.folder)
        self.assertIsNone(await self.asking.ask(source, ALICE))
        (self.folder / f"{ALICE}.key").write_text(text_of(ONE, address="bob@example.org"))
        self.assertEqual(await self.asking.ask(source, ALICE), ONE)
        (self.folder / f"{NAME}.key").write_bytes(public_key.encode(TWO))
        self.assertEqual(await self.asking.ask(source, ALICE), TWO)
        (self.folder / f"{NAME}.key").write_bytes(b"x" * 100_000)
        await self.failed(source, "more than any key has")
        (self.folder / f"{NAME}.key").unlink()
        (self.folder / f"{NAME}.key").mkdir()
        await self.failed(source, "directory")
        await self.failed(KeySource("gone", self.folder / "gone"), "no such folder")

    async def test_no_way_out(self):
        """An address that would be a path elsewhere is looked for by its digest alone."""
        (self.folder / "secret.key").write_bytes(public_key.encode(ONE))
        inner = self.folder / "inner"
        inner.mkdir()
        source = KeySource("friends", inner)
        for address in ("exit:../secret", "exit:/secret", "../secret", f"{self.folder}/secret"):
            self.assertIsNone(await self.asking.ask(source, address))


class WebTests(SourcesCase):
    async def test_answers(self):
        """The key in both forms; none; and each answer that is of no use."""
        self.assertIsNone(await self.asking.ask(self.web, ALICE))
        self.shelf.code = 410
        self.assertIsNone(await self.asking.ask(self.web, ALICE))
        for octets in (public_key.encode(ONE), text_of(ONE).encode()):
            self.shelf.has[self.path] = octets
            self.assertEqual(await self.asking.ask(self.web, ALICE), ONE)
        self.assertEqual(set(self.shelf.requests), {self.path})
        for octets, part in (
            (b"", "no key"),
            (b"<html>not found</html>", "no key"),
            (text_of(ONE).encode() + text_of(TWO).encode(), "2 keys"),
            (text_of(ONE).encode()[:300], "no end"),
            (public_key.encode(ONE)[:-1], "not whole"),
            (public_key.encode(ONE[:-32] + bytes(32)), "nothing can be encrypted"),
            (b"x" * 70_000, "too long"),
        ):
            self.shelf.has[self.path] = octets
            await self.failed(self.web, part)
        self.shelf.has.clear()
        for code, part in ((500, "500"), (302, "302"), (403, "403"), (0, "")):
            self.shelf.code = code
            await self.failed(self.web, part)
        await self.failed(KeySource("off", "http://127.0.0.1:1/{hash}"), "no connection")

    async def test_domain(self):
        """The domain of a mail address in the template; who has none is not looked for."""
        source = KeySource("own", str(self.web.where).replace("/{hash}", "/{domain}/{hash}"))
        self.shelf.has[b"/example.org" + self.path] = public_key.encode(ONE)
        self.assertEqual(await self.asking.ask(source, ALICE), ONE)
        self.shelf.requests.clear()
        self.assertIsNone(await self.asking.ask(source, "mbox:bob@mix1"))
        self.assertEqual(self.shelf.requests, [])

    async def test_tls(self):
        """By https, from whom the machine trusts for that name, and from nobody else."""
        authority = Authority(reactor.seconds())
        certificate, key = authority.issue(["localhost"])
        options = ssl.PrivateCertificate.loadPEM(certificate + key).options()
        source = KeySource("tls", self.listen(options))
        self.shelf.has[self.path] = public_key.encode(ONE)
        await self.failed(source, "")
        self.assertEqual(self.shelf.requests, [])
        trust = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(authority.pem)])
        self.asking = self.make(trust=trust)
        self.assertEqual(await self.asking.ask(source, ALICE), ONE)

    async def test_proxy(self):
        """By way of the proxy that directories are fetched through, too."""
        proxy = HttpProxy(lambda host, port: HostnameEndpoint(reactor, host, port))
        listening = reactor.listenTCP(0, proxy, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        place = HostPort("127.0.0.1", listening.getHost().port)
        self.asking = self.make(Proxies.every(Proxy(place)))
        self.shelf.has[self.path] = public_key.encode(ONE)
        self.assertEqual(await self.asking.ask(self.web, ALICE), ONE)
        self.assertEqual(len(proxy.requests), 1)

    async def test_slow(self):
        """A server that does not answer is given up."""
        self.patch(Shelf, "render_GET", lambda shelf, request: NOT_DONE_YET)
        self.patch(requester.get, "__kwdefaults__", {"timeout": 0.2})
        await self.failed(self.web, "")


class ChangeTests(SourcesCase):
    """A key through its life at a real server."""

    def setUp(self) -> None:
        super().setUp()
        database = Database(self.folder / "state" / "client.sqlite", InlineExecutor())
        self.addCleanup(lambda: Deferred.fromCoroutine(database.close()))
        friends = KeySource("friends", self.folder)
        self.keys = Keys(database, reactor, [friends, self.web], self.asking)

    async def refused(self, error: type[Exception]) -> str:
        with self.assertRaises(error) as caught:
            await self.keys.find(ALICE)
        return render(caught.exception)

    async def test_life(self):
        """Not there, there, the same, another, trusted, gone, and different in the folder."""
        await self.refused(KeyNotFound)
        self.shelf.has[self.path] = public_key.encode(ONE)
        self.assertEqual((await self.keys.find(ALICE)).public, ONE)
        self.assertEqual((await self.keys.find(ALICE)).public, ONE)
        self.shelf.has[self.path] = public_key.encode(TWO)
        said = await self.refused(KeyChanged)
        self.assertIn(fingerprint(ONE), said)
        self.assertIn(fingerprint(TWO), said)
        self.assertEqual((await self.keys.get(ALICE)).public, ONE)
        await self.keys.trust(ALICE)
        self.assertEqual((await self.keys.find(ALICE)).public, TWO)
        (self.folder / f"{NAME}.key").write_bytes(public_key.encode(ONE))
        await self.refused(SourcesDiffer)
        del self.shelf.has[self.path]
        await self.refused(KeyChanged)
        self.assertEqual((await self.keys.get(ALICE)).public, TWO)
        self.shelf.code = 503
        await self.refused(SourceFailed)
