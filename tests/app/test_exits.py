"""What an exit's operator does at once, with a real server and a real mail server behind it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from mixminion.benchmarks.parts import view_of
from mixminion.testing.cases import AsyncTestCase
from mixminion.testing.commands import NetworkError, free_port, mixminion, wait_until
from mixminion.testing.network import LocalNetwork
from tests.app import kit


class ExitCase(AsyncTestCase):
    """One mix that is an exit, with a file of rules."""

    timeout = 120

    async def setUp(self) -> None:  # type: ignore[override]
        self.network = LocalNetwork(Path(self.mktemp()), mixes=1)
        await deferToThread(self.network.make)
        (self.mix,) = self.network.mixes
        self.rules = self.mix.home / "rules"
        self.rules.write_text("# nobody yet\n")
        self.mix.config.write_text(self.mix.config.read_text() + self.more())
        self.addCleanup(deferToThread, self.network.stop)
        await deferToThread(self.network.start)
        self.view = view_of(self.network.folder)

    def more(self) -> str:
        """What the configuration has besides."""
        return "\n[Abuse]\nrules = rules\n"

    async def send(self, *names: str) -> None:
        """A mail for each, through the mix."""
        packets = [
            kit.packet(self.view, b"Subject: Hello\r\n\r\nHello.\r\n", "smtp", [name])
            for name in names
        ]
        sender = await kit.send(self.view, self.mix.address, packets)
        self.assertEqual(sender.received_keys, list(range(len(packets))))

    async def server(self, *words: str) -> Any:
        """What an operator's command answers, as JSON."""
        *before, last = words
        home = ("--home", self.mix.home, "--json")
        return json.loads(await deferToThread(mixminion, "server", *before, last, *home))

    @property
    def arrived(self) -> list[str]:
        """Who has got mail, in alphabetical order."""
        heads = [path.read_text().splitlines() for path in self.network.mails()]
        mark = "Delivered-To: "
        return sorted(
            line.removeprefix(mark) for head in heads for line in head if line.startswith(mark)
        )

    async def wait(self, true: Any, complaint: str) -> None:
        await deferToThread(wait_until, true, 20.0, complaint)

    async def counted(self, name: str, n: int) -> None:
        """Wait until that counter is there."""
        await self.wait(
            lambda: self.mix.ask("status")["counters"].get(name, 0) == n, f"{name} is not {n}"
        )


class OperatorTests(ExitCase):
    async def test_who_gets_no_mail(self) -> None:
        """Who is blocked gets nothing: not what comes, and not what was queued before, also after
        a restart; rules are read again while the server runs."""
        bob, eve, max = "bob@x.test", "eve@x.test", "max@y.test"
        self.assertEqual(
            await self.server("exit", "pause"), {"exits": ["smtp", "drop"], "paused": True}
        )
        await self.send(bob, eve)
        await self.counted("released", 2)
        status = await self.server("status")
        self.assertEqual(status["packets"]["exits"]["smtp"], 2)
        self.assertEqual(
            status["exits"], {"paused": ["drop", "smtp"], "blocked": 0, "bouncing": {}}
        )
        self.assertIn("The exit smtp is paused", " ".join(status["attention"]))

        added = await self.server("exit", "blocked", "add", "Bob+x@X.test")
        self.assertEqual(added, {"new": True})
        await deferToThread(self.mix.stop)
        await deferToThread(self.mix.start)
        self.assertEqual((await self.server("status"))["exits"]["paused"], ["drop", "smtp"])
        self.assertEqual(self.arrived, [])
        await self.server("exit", "resume", "smtp")
        await self.counted("delivered", 1)
        await self.counted("blocked", 1)
        self.assertEqual(self.arrived, [eve])

        await self.send(bob, max)
        await self.counted("delivered", 2)
        await self.counted("blocked", 2)
        self.rules.write_text("deny domain y.test\nallow address eve@x.test\n")
        answer = await self.server("reload")
        self.assertEqual(answer, {"reloaded": [str(self.rules)]})
        await self.send(max, eve)
        await self.counted("delivered", 3)
        await self.counted("blocked", 3)
        self.assertEqual(self.arrived, [eve, eve, max])
        await self.broken_rules()
        await self.listing(bob, max)
        await self.trial(bob, eve)
        log = (self.mix.home / "log" / "mixminion.log").read_text()
        for name in ("bob", "eve@", "max@", "x.test", "y.test"):
            self.assertNotIn(name, log.lower())

    async def broken_rules(self) -> None:
        """Nothing changes, by command or by signal; both say so."""
        self.rules.write_text("deny everybody\ndeny\n")
        with self.assertRaisesRegex(NetworkError, "rules:2: expected deny or allow"):
            await self.server("reload")
        os.kill(self.mix.pid or 0, signal.SIGHUP)
        log = self.mix.home / "log" / "mixminion.log"
        await self.wait(lambda: "1 lines are wrong" in log.read_text(), "SIGHUP is not logged")
        self.rules.write_text("deny domain y.test\n")
        os.kill(self.mix.pid or 0, signal.SIGHUP)
        await self.wait(lambda: "is read again" in log.read_text(), "SIGHUP is not logged")

    async def listing(self, listed: str, ruled: str) -> None:
        """Who is on the list, and why; off it again."""
        answer = await self.server("exit", "blocked", "list")
        self.assertEqual([each["origin"] for each in answer["entries"]], ["operator"])
        answer = await self.server("exit", "blocked", "list", ruled)
        self.assertEqual(answer, {"listed": None, "ruled": True})
        answer = await self.server("exit", "blocked", "remove", ruled)
        self.assertEqual(answer, {"removed": False, "still-blocked": True})
        answer = await self.server("exit", "blocked", "list", listed)
        self.assertEqual(answer["listed"]["until"], None)
        with self.assertRaisesRegex(NetworkError, "neither an address"):
            await self.server("exit", "blocked", "add", "bob")

    async def trial(self, blocked: str, free: str) -> None:
        """One mail goes the exit's real way."""
        answer = await self.server("exit", "test", free)
        self.assertEqual(answer, {"exit": "smtp", "outcome": "delivered", "reason": "smtp-250"})
        texts = [path.read_text() for path in self.network.mails()]
        self.assertEqual(sum("Subject: A test of a Mixminion exit" in each for each in texts), 1)
        with self.assertRaisesRegex(NetworkError, "blocked"):
            await self.server("exit", "test", blocked)
        await deferToThread(self.network.stop_relay)
        with self.assertRaisesRegex(NetworkError, "refused|disconnected|closed"):
            await self.server("exit", "test", free)
        with self.assertRaisesRegex(NetworkError, "no exit nobody"):
            await self.server("exit", "test", free, "--exit", "nobody")


class OptOutTests(ExitCase):
    def more(self) -> str:
        self.port = free_port(["127.0.0.1"])
        return (
            "\n[Abuse]\nrules = rules\nopt-out-url = https://mix.example.test/no-more\n"
            f"opt-out-listen = tcp:{self.port}:interface=127.0.0.1\n"
        )

    def press(self, link: str) -> int:
        """Press the button behind the link, as a mail program does."""
        path = link.removeprefix("https://mix.example.test")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", path, "List-Unsubscribe=One-Click")
        status = connection.getresponse().status
        connection.close()
        return status

    async def test_link(self) -> None:
        """The link in a mail, in its header and below its text, brings nothing more to whom it
        came: neither what is queued, nor what comes after a restart."""
        await self.send("bob@x.test")
        await self.counted("delivered", 1)
        [path] = self.network.mails()
        text = path.read_text().replace("\n ", " ")
        self.assertIn("List-Unsubscribe-Post: List-Unsubscribe=One-Click\n", text)
        [link] = re.findall(r"List-Unsubscribe: <(.*)>\n", text)
        self.assertIn(f"\n{link}\n", text)
        await self.server("exit", "pause", "smtp")
        await self.send("bob@x.test", "eve@x.test")
        await self.counted("released", 3)
        self.assertEqual(await deferToThread(self.press, link), 200)
        await self.server("exit", "resume")
        await self.counted("delivered", 2)
        await self.counted("blocked", 1)
        await deferToThread(self.mix.stop)
        await deferToThread(self.mix.start)
        await self.send("Bob+new@x.test")
        await self.counted("blocked", 1)
        self.assertEqual(self.arrived, ["bob@x.test", "eve@x.test"])
        log = (self.mix.home / "log" / "mixminion.log").read_text()
        for part in (link[-50:], "bob", "eve@"):
            self.assertNotIn(part, log)
