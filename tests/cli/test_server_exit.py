"""``mixminion server exit dns, check``: what the DNS has to know, and whether it does."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.threads import deferToThread

from mixminion.exits import dkim
from mixminion.testing.cases import AsyncTestCase
from mixminion.testing.commands import free_port
from mixminion.testing.names import NameServer, Zone
from tests.cli.test_main import run
from tests.cli.test_server import CONFIG

reactor: Any = installed

EXIT = """\
[Abuse]
block-lists = list.example.test
[Exit smtp]
module = smtp
domain = mix.example.test
hello = out.example.test
dkim-keys = s1 rsa.pem
[Exit drop]
module = drop
"""


class DnsTests(AsyncTestCase):
    timeout = 60

    def setUp(self) -> None:
        self.zone = Zone()
        server = NameServer(reactor, self.zone)
        self.addCleanup(server.stop)
        self.resolver = f"127.0.0.1:{server.port}"
        self.home = Path(tempfile.mkdtemp(dir=Path(self.mktemp()).parent.absolute()))
        key = self.home / "rsa.pem"
        key.touch(0o600)
        key.write_bytes(dkim.generate(dkim.RSA))
        (self.home / "mixminiond.conf").write_text(CONFIG + EXIT)

    async def exit(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``mixminion server exit ...``."""
        command, *more = words
        home = ("--home", str(self.home))
        return await deferToThread(run, "server", "exit", command, *home, *more)

    async def test_dns_and_check(self) -> None:
        """What `dns` prints is what `check` wants; without it 69 and what is missing."""
        done = await self.exit("dns")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for line in (
            "; The exit smtp, mail from mix.example.test",
            'mix.example.test. IN TXT "v=spf1 ip4:8.8.8.8 -all"',
            "8.8.8.8.in-addr.arpa. IN PTR out.example.test.",
        ):
            self.assertIn(line, done.stdout.splitlines())
        self.assertIn("s1._domainkey.mix.example.test. IN TXT (", done.stdout)

        done = await self.exit("check", "--resolver", self.resolver)
        self.assertEqual((done.returncode, done.stderr), (69, ""))
        self.assertIn("wrong    SPF: mix.example.test has 0 SPF records", done.stdout)

        [exit] = json.loads((await self.exit("dns", "--json")).stdout)
        for each in exit["records"]:
            self.zone.add(each["name"], each["type"], each["text"])
        done = await self.exit("check", "smtp", "--resolver", self.resolver, "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        found = json.loads(done.stdout)
        self.assertEqual({each["state"] for each in found}, {"ok"})
        self.assertEqual(set(found[0]), {"exit", "what", "state", "said"})

    async def test_wrong_words(self) -> None:
        """An exit that there is not, an address that is none."""
        for words in (("dns", "drop"), ("dns", "--address", "here"), ("check", "--resolver", "[")):
            done = await self.exit(*words)
            self.assertEqual((done.returncode, done.stdout), (64, ""), done.stderr)

    async def test_port_25(self) -> None:
        """A mail server that is not there; an exit without a relay wants to know of one."""
        direct = EXIT.replace("domain =", "transport = mx\ndomain =")
        (self.home / "mixminiond.conf").write_text(CONFIG + direct)
        done = await self.exit("check", "--resolver", self.resolver)
        self.assertIn("warning  port 25: Mail leaves without a relay", done.stdout)
        address = f"127.0.0.1:{free_port(['127.0.0.1'])}"
        done = await self.exit("check", "--resolver", self.resolver, "--port-25", address)
        self.assertIn(f"wrong    port 25 of {address}: It cannot be reached", done.stdout)
