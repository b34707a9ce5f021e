"""The agent as a process, and commands that find it: against a network in the test's process."""

from __future__ import annotations

import json
import os
import signal

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from mixminion.disk import lock
from mixminion.interfaces import Refusal
from mixminion.payload import frame
from mixminion.sphinx.unwrap import Deliver, Unwrapper
from tests.cli.clients import CommandCase
from tests.client.network import GEOMETRY, reactor

HELLO = ("send", "-t", "alice@example.org", "-s", "Secretive")
CONTENT = b"Nobody shall find this.\n"


class AgentCase(CommandCase):
    """A home whose agent is stopped at the end; points are a second apart here."""

    timeout = 120

    def setUp(self):
        super().setUp()
        self.configure("[Log]\nlevel = debug\n")
        self.home = self.folder / "state"
        self.addCleanup(self.end)

    def end(self) -> Deferred[None]:
        """End the agent that still runs, by its pid."""
        if pid := lock.holder(self.home):
            os.kill(pid, signal.SIGKILL)
        return self.until(lambda: lock.holder(self.home) is None)

    def until(self, true) -> Deferred[None]:
        async def wait() -> None:
            while not true():
                await deferLater(reactor, 0.05)

        return Deferred.fromCoroutine(wait())

    async def start(self) -> None:
        done = await self.run_command("agent", "start")
        self.assertEqual(done.code, 0, done.err)
        self.assertRegex(done.out, r"^The agent runs, process \d+\.\n$")

    def kinds(self) -> list[frame.Kind]:
        """What the packets carry that have come."""
        return [self.kind(each) for each in self.network.arrived]

    def kind(self, packet: bytes) -> frame.Kind:
        number = int(reactor.seconds()) // self.network.parameters.key_period
        (mix,) = [mix for mix in self.network.mixes if packet in mix.intake.packets]
        while True:
            answer = Unwrapper(GEOMETRY, mix.node_id, mix.key(number)[0]).unwrap(packet)
            if isinstance(answer, Deliver):
                return frame.parse(answer.body).kind
            mix = next(each for each in self.network.mixes if each.node_id == answer.next)
            packet = answer.packet

    def mail(self) -> int:
        """How many of them are no cover."""
        return sum(kind is not frame.Kind.COVER for kind in self.kinds())


class AgentTests(AgentCase):
    async def test_agent(self):
        """From the start to the end: cover leaves by itself, commands hand over and wait, or do
        not; the log names nobody."""
        await self.start()
        status = json.loads((await self.run_command("agent", "status", "--json")).out)
        self.assertEqual((status["ready"], status["attention"]), (True, []))
        self.assertTrue(status["schedule"]["points"])
        await self.until(lambda: len(self.network.arrived) > 2)
        self.assertEqual(self.mail(), 0)

        done = await self.run_command(*HELLO, stdin=CONTENT)
        self.assertEqual((done.code, self.mail()), (0, 1))
        self.assertIn("the agent sends it at a moment of its own\n", done.err)
        self.assertIn("this computer may be switched off", done.err)
        self.assertNotIn("unobservable", done.err)
        done = await self.run_command(*HELLO, "--json", "-q", stdin=CONTENT)
        self.assertTrue(json.loads(done.out)["sent"])

        done = await self.run_command(*HELLO, "--queue", stdin=CONTENT)
        self.assertEqual(done.code, 0)
        self.assertRegex(done.err, "not sent, but kept as number 3: the agent sends it\n")
        done = await self.run_command("queue", "flush")
        self.assertEqual(done.code, 0)
        self.assertEqual(self.mail(), 3)
        done = await self.run_command("queue", "list")
        self.assertEqual(done.out, "Nothing is kept.\n")

        done = await self.run_command("agent", "start")
        self.assertRefused(done, 73, "is in use by process")
        done = await self.run_command("agent", "reload")
        self.assertEqual((done.code, done.out), (0, "Read again.\n"))
        done = await self.run_command(*HELLO, stdin=CONTENT)
        self.assertEqual((done.code, self.mail()), (0, 4))
        self.configure("[Schedule]\nslower = wrong\n")
        os.kill(lock.holder(self.home) or 0, signal.SIGHUP)
        await self.until(lambda: "Nothing was changed." in self.log())
        self.configure("[Log]\nlevel = debug\n")
        done = await self.run_command(*HELLO, stdin=CONTENT)
        self.assertEqual((done.code, self.mail()), (0, 5))
        done = await self.run_command("agent", "stop")
        self.assertEqual((done.code, done.out), (0, "The agent has stopped.\n"))
        self.check_log()

    def log(self) -> str:
        return (self.home / "agent.log").read_text()

    def check_log(self) -> None:
        """It is private, and says nothing of whom or what."""
        self.assertEqual((self.home / "agent.log").stat().st_mode & 0o777, 0o600)
        text = self.log()
        self.assertIn("Mixminion", text)
        hosts = [mix.host for mix in self.network.mixes]
        names = [mix.nickname for mix in self.network.mixes]
        for word in ("alice", "example.org", "Secretive", "Nobody shall", *hosts, *names):
            self.assertNotIn(word, text)

    async def test_large(self):
        """A message in several packets, which leave one by one."""
        await self.start()
        done = await self.run_command("send", "-t", "drop", stdin=os.urandom(40_000))
        self.assertEqual((done.code, self.mail()), (0, 4), done.err)
        self.assertIn("and others: this computer may be switched off", done.err)

    async def test_killed(self):
        """kill -9 of the agent while something waits: the next one sends it, once."""
        await self.start()
        await self.until(lambda: self.network.arrived)
        for mix in self.network.mixes:
            mix.intake.silent = True
        done = await self.run_command(*HELLO, "--queue", stdin=CONTENT)
        await self.until(lambda: self.mail() > 0)
        await self.end()
        for mix in self.network.mixes:
            mix.intake.silent = False
        await self.start()
        done = await self.run_command("queue", "flush")
        self.assertEqual(done.code, 0, done.err)
        mail = [p for p in self.network.arrived if self.kind(p) is not frame.Kind.COVER]
        self.assertEqual((len(mail), len(set(mail))), (2, 1))

    async def test_refused(self):
        """An entry that takes nothing: not sent yet, but kept, and sent when it takes it."""
        await self.start()
        for mix in self.network.mixes:
            mix.intake.refusal = Refusal.FULL
        done = await self.run_command(*HELLO, stdin=CONTENT)
        self.assertRefused(done, 75, "Not sent yet, but kept", "as long as the agent runs")
        done = await self.run_command("queue", "list")
        self.assertRegex(done.out, "^1: since")

    async def test_agent_ends(self):
        """The agent ends while a command waits for it: the message is kept."""
        self.configure("[Schedule]\nslower = 100\n")
        await self.start()
        command = self.start_command(*HELLO, stdin=CONTENT)
        while b"the agent sends it" not in command.err:
            await deferLater(reactor, 0.05)
        await self.run_command("agent", "stop")
        done = await command.done
        self.assertEqual(done.code, 75)
        self.assertIn("Not sent, but kept", done.err)
        self.assertIn("times less often", (await self.run_command("agent", "start")).err)


class WrongTests(AgentCase):
    """What keeps an agent from starting, with its exit code, before it becomes a daemon."""

    async def test_none(self):
        """Nobody to ask or to stop."""
        for name in ("status", "stop", "reload"):
            done = await self.run_command("agent", name)
            self.assertRefused(done, 69, "No agent runs from", "`mixminion agent start` starts it")

    async def test_configuration(self):
        """Wrong keys."""
        self.configure("[Schedule]\nslower = 0\n[Outbox]\ndelete-after = 2 hours\n")
        done = await self.run_command("agent", "start")
        self.assertRefused(done, 78, "[Schedule] slower", "[Outbox] delete-after")

    async def test_permissions(self):
        """A state that others may read."""
        await self.run_command("queue", "list")
        (self.home / "client.sqlite").chmod(0o644)
        done = await self.run_command("agent", "start")
        self.assertRefused(done, 77, "chmod 600")
