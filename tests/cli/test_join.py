"""``mixminion join``, and what becomes of a configuration in use."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import Site

from mixminion.crypto import sign as ed25519
from mixminion.directory.bootstrap import Authority, Bootstrap
from tests.cli.clients import CommandCase
from tests.client.network import reactor
from tests.dirhttp.proxy import HttpProxy


class JoinCase(CommandCase):
    """A bootstrap file of the network, and no configuration."""

    def setUp(self):
        super().setUp()
        self.config.unlink()
        self.sources = [f"https://{mix.address}/" for mix in self.network.mixes[:2]]
        self.file = self.folder / "net.conf"
        self.file.write_text(self.bootstrap().text())

    def bootstrap(self, others=None) -> Bootstrap:
        names = ("moria", "tor26", "gabelmoo")
        known = zip(self.network.authorities, names, strict=True)
        authorities = tuple(Authority(public, name) for (_, public), name in known)
        return Bootstrap("example", authorities, tuple(others or self.sources))

    async def join(self, *arguments: Any, **options: Any):
        return await self.run_command("join", str(self.file), *map(str, arguments), **options)


class JoinTests(JoinCase):
    """From a file to a directory."""

    async def test_asked(self):
        """Fingerprints, a question, a configuration that nobody else reads, a directory."""
        done = await self.join(stdin=b"y\n")
        self.assertEqual(done.code, 0, done.err)
        first, moria, *_ = done.err.splitlines()
        self.assertEqual(first, "The network example has 3 authorities:")
        self.assertEqual(
            moria.rstrip(), f"  moria     {self.bootstrap().authorities[0].fingerprint}"
        )
        self.assertIn("with the signatures of 2 of them will be believed", done.err)
        self.assertIn(f"the configuration is {self.config}\n", done.err)
        self.assertIn("served the consensus\n", done.err)
        self.assertRegex(
            done.out,
            r"^Joined the network example\.\nThe directory of \S+Z lists 5 servers; it is valid",
        )
        self.assertEqual(self.config.stat().st_mode & 0o777, 0o600)
        done = await self.run_command("send", "-t", "drop")
        self.assertEqual(done.code, 0, done.err)

    async def test_own_configuration(self):
        """Without --config it is the user's own, over the template of a first run."""
        await self.run_command("update", environment={})
        done = await self.join("--yes", environment={})
        own = self.folder / ".config" / "mixminion" / "mixminion.conf"
        self.assertEqual(done.code, 0, done.err)
        self.assertIn(f"the configuration is {own}\n", done.err)
        done = await self.run_command("list-servers", environment={})
        self.assertEqual((done.code, done.err), (0, ""))

    async def test_no(self):
        """Without a yes nothing is written."""
        for stdin in (b"n\n", b"\n", b""):
            done = await self.join(stdin=stdin)
            self.assertRefused(done, 64, "Nothing was changed", "--yes")
            self.assertFalse(self.config.exists())

    async def test_json(self):
        """What programs read; what people read is elsewhere."""
        done = await self.join("--yes", "--json")
        found = json.loads(done.out)
        directory = found.pop("directory")
        self.assertEqual(
            (sorted(directory), directory["servers"]),
            (["servers", "valid-after", "valid-until"], 5),
        )
        self.assertEqual(
            found,
            {
                "network": "example",
                "config": str(self.config),
                "former": None,
                "authorities": [
                    {"nickname": each.nickname, "identity": each.identity.hex()}
                    for each in self.bootstrap().authorities
                ],
            },
        )

    async def test_standard_input(self):
        """A file that comes through a pipe; there is nobody to ask then."""
        text = self.file.read_bytes()
        done = await self.run_command("join", "-", "--yes", stdin=text)
        self.assertEqual(done.code, 0, done.err)
        done = await self.run_command("join", "-", "--replace", stdin=text + b"[Sources]\n")
        self.assertRefused(done, 65, "standard input does not say which network to join")

    async def test_url(self):
        """A file that stands on a web server."""
        root = Resource()
        page = Resource()
        page.isLeaf = True
        page.render_GET = lambda request: self.file.read_bytes()  # type: ignore[attr-defined]
        root.putChild(b"net.conf", page)
        port = self.listen("127.0.0.1", Site(root))
        url = f"http://127.0.0.1:{port}/net.conf"
        done = await self.run_command("join", url, stdin=b"yes\n")
        self.assertEqual(done.code, 0, done.err)
        self.assertIn(f"# joined: example, from {url}\n", self.config.read_text())
        done = await self.run_command("join", url + "x", "--replace")
        self.assertRefused(done, 69, "it answered 404", "get the file in another way")
        done = await self.run_command("join", "http://", "--replace")
        self.assertRefused(done, 64, "'http://' is no address")

    async def test_wrong(self):
        """A file that is none, or not there."""
        self.file.write_text("[Network]\nname = x\n")
        done = await self.join("--yes")
        self.assertRefused(done, 65, "does not say which network to join", "[Authority NICKNAME]")
        self.file.unlink()
        self.assertRefused(await self.join("--yes"), 65, "cannot be read")
        self.assertFalse(self.config.exists())

    async def test_nobody_there(self):
        """The configuration is written, but there is no directory: both are said."""
        self.file.write_text(self.bootstrap(["https://127.0.0.1:1/"]).text())
        done = await self.join("--yes")
        self.assertRefused(done, 69, "No source gave a directory")
        self.assertIn(
            "the network is joined, but there is no directory: `mixminion update`", done.err
        )
        self.assertTrue(self.config.exists())


class ReplaceTests(JoinCase):
    """A configuration that is there."""

    async def test_not_replaced(self):
        """It stays unless --replace; joining once more with the same file is no harm."""
        await self.join("--yes")
        text = self.config.read_text()
        self.assertEqual((await self.join("--yes")).code, 0)
        self.file.write_text(self.bootstrap(self.sources[:1]).text())
        done = await self.join("--yes")
        self.assertRefused(done, 73, "There is a configuration in", "--replace")
        self.assertEqual(self.config.read_text(), text)

    async def test_an_authority_replaced(self):
        """With other authorities: what was kept is still there and still sent, and what the old
        majority signed is not believed any more."""
        await self.join("--yes")
        self.config.write_text(
            self.config.read_text().replace("[Client]", "[Client]\none-shot-notice = no")
        )
        mix = self.network.mix("mix1")
        mix.intake.silent = True
        command = self.start_command("send", "-t", "drop", "-P", "mix1,*2,mix5")
        while not mix.intake.packets:
            await deferLater(reactor, 0.05, lambda: None)
        command.kill()
        await command.done
        mix.intake.silent = False

        old = self.network.authorities[:]
        self.network.authorities[1:] = [ed25519.generate(), ed25519.generate()]
        self.file.write_text(self.bootstrap().text())
        self.network.sign(signers=[private for private, _ in old])
        done = await self.join("--yes", "--replace")
        self.assertRefused(done, 69, "is signed by 1 of the 3 authorities")
        self.network.sign()
        done = await self.run_command("update")
        self.assertEqual(done.code, 0, done.err)
        self.assertIn("one-shot-notice = no", self.config.read_text())
        former = self.config.with_name(self.config.name + ".before-1")
        self.assertIn(old[1][1].hex(), former.read_text())
        done = await self.run_command("queue", "flush")
        self.assertEqual(done.out, "1 handed over, 0 still kept\n", done.err)


class ProxyTests(CommandCase):
    """Directories through a proxy."""

    def setUp(self):
        super().setUp()
        self.proxy = HttpProxy(lambda host, port: HostnameEndpoint(reactor, host, port))
        self.place = f"127.0.0.1:{self.listen('127.0.0.1', self.proxy)}"

    async def update(self, **environment: str):
        self.proxy.requests.clear()
        found = {"MIXMINION_CONFIG": str(self.config), **environment}
        return await self.run_command("update", environment=found)

    async def test_proxied(self):
        """One that the configuration names, or else the environment; either can be declined."""
        for line, environment, used in (
            (f"proxy = http://{self.place}/\n", {}, True),
            ("", {"https_proxy": f"http://{self.place}"}, True),
            ("", {"https_proxy": f"http://{self.place}", "no_proxy": "127.0.0.0/8"}, False),
            ("proxy = none\n", {"all_proxy": self.place}, False),
        ):
            self.configure(line)
            done = await self.update(**environment)
            self.assertEqual(done.code, 0, done.err)
            self.assertEqual(bool(self.proxy.requests), used, line)
            for request in self.proxy.requests:
                self.assertRegex(request, rb"^CONNECT 127\.\d\.0\.1:\d+ HTTP/1\.1$")
        self.configure("")
        done = await self.update(all_proxy="socks5://127.0.0.1:9050")
        self.assertRefused(done, 64, "$all_proxy names no HTTP proxy")

    async def test_messages(self):
        """Packets do not go there: their servers are dialled as ever."""
        self.configure(f"proxy = http://{self.place}/\n")
        await self.update()
        self.proxy.requests.clear()
        done = await self.run_command("send", "-t", "drop")
        self.assertEqual((done.code, self.proxy.requests), (0, []), done.err)
