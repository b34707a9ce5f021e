import os

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults

from mixminion import api
from mixminion.client import entries
from mixminion.client.errors import BadAddress, MessageTooLarge
from mixminion.directory.consensus import Consensus
from mixminion.directory.parts import Exit
from mixminion.dirhttp.errors import NoDirectory
from mixminion.interfaces import Refusal
from tests.client.network import DAY, NetworkCase, reactor


class SendTests(NetworkCase):
    """From an address and a text to a packet at its entry."""

    async def test_send(self):
        """The packet unwraps along the path it names, to the message that was sent."""
        client = self.client()
        events: list[api.Event] = []
        sent = await client.send(
            "alice@example.org", b"Hello\n", subject="Hi", progress=events.append
        )
        (packet,) = self.network.arrived
        path, delays, (exit, recipients, content) = self.network.open(packet)
        self.assertEqual(tuple(path), sent.path)
        self.assertEqual((path[0], len(set(path))), (sent.entry, 4))
        self.assertTrue(all(0 <= delay < 5 for delay in delays))
        self.assertEqual((exit, recipients), ("smtp", ("alice@example.org",)))
        self.assertTrue(content.endswith(b"\r\n\r\nHello\r\n"))
        self.assertIn(b"Subject: Hi\r\n", content)
        self.assertEqual(
            list(dict.fromkeys(type(event) for event in events)),
            [api.Fetching, api.Asked, api.Compared, api.PathChosen, api.Kept, api.Sent],
        )
        self.assertEqual(await client.waiting(), [])

    async def test_recipients(self):
        """One message for all of them; the mail shows those that it is to show."""
        client = self.client()
        await client.send(
            ["a@example.org", "b@example.org"],
            b"x",
            cc=["c@example.org"],
            bcc=["d@example.org", "a@example.org"],
            name="A. Friend",
            reply_to="me@example.org",
        )
        (packet,) = self.network.arrived
        _, _, (_, recipients, content) = self.network.open(packet)
        self.assertEqual(recipients, tuple(f"{each}@example.org" for each in "abcd"))
        self.assertIn(b"To: a@example.org, b@example.org\r\nCc: c@example.org\r\n", content)
        self.assertIn(b"A. Friend", content)
        self.assertIn(b"Reply-To: me@example.org\r\n", content)
        self.assertNotIn(b"d@example.org", content)
        with self.assertRaises(BadAddress):
            await client.send("a@example.org", b"x", bcc=["mbox:bob"])
        self.assertEqual(await client.waiting(), [])

    async def test_path(self):
        """A path that is named is the path that is taken."""
        sent = await self.client().send("drop", b"", path="mix3, mix1, ?, mix5")
        (packet,) = self.network.arrived
        path, _, (exit, recipients, content) = self.network.open(packet)
        self.assertEqual([path[0], path[1], path[3]], ["mix3", "mix1", "mix5"])
        self.assertEqual((exit, recipients, content), ("drop", (), b""))
        self.assertEqual(sent.path, tuple(path))

    async def test_server_in_the_address(self):
        """The server that an address names is the last of the path, once."""
        client = self.client()
        self.network.mix("mix5").exits += (Exit(name="mbox", module="mbox", max_message=24_000),)
        self.network.sign()
        seen: set[bytes] = set()
        for path in (None, "*3", "?,?,?,mix5"):
            sent = await client.send("mbox:alice@mix5", b"Hello\n", path=path)
            self.assertEqual((len(sent.path), sent.path[-1]), (4, "mix5"))
            [packet] = set(self.network.arrived) - seen
            seen.add(packet)
            _, _, (exit, recipients, content) = self.network.open(packet)
            self.assertEqual((exit, recipients), ("mbox", ("alice",)))
            self.assertTrue(content.startswith(b"MIME-Version: 1.0\r\n"))

    async def test_many(self):
        """A thousand messages through one client: every one arrives once, over one link per
        entry, and nothing is left."""
        client, at_once = self.client(), DeferredSemaphore(50)
        n = 1000

        def send(i):
            return Deferred.fromCoroutine(client.send("drop", b"message %d" % i))

        await gatherResults([at_once.run(send, i) for i in range(n)])
        contents = {self.network.open(packet)[2][2] for packet in self.network.arrived[:20]}
        self.assertEqual(len(contents), 20)
        self.assertEqual(len(self.network.arrived), n)
        self.assertEqual(await client.waiting(), [])

    async def test_too_large(self):
        """A message of more packets than the network's are meant to take is refused with what it
        would cost, and nothing is kept."""
        client = self.client()
        with self.assertRaises(MessageTooLarge) as caught:
            await client.send("drop", os.urandom(800_000))
        self.assertEqual(
            caught.exception.fields,
            {"size": 800_000, "packets": 42, "limit": 40, "sent": 1, "minutes": 1},
        )
        self.assertEqual(caught.exception.exit_code, 65)
        self.assertEqual(await client.waiting(), [])


class NotHandedOverTests(NetworkCase):
    """What happens to a packet that its entry does not take."""

    def setUp(self):
        super().setUp()
        self.patch(entries, "RETRY_AFTER", (0.05, 0.05))

    async def refused(self, client):
        with self.assertRaises(api.NotHandedOver) as caught:
            await client.send("drop", b"x", path="mix1, *2, mix5")
        return caught.exception

    async def test_refusal(self):
        """A full server: the packet is kept, and sent as it was when there is room again."""
        client, intake = self.client(), self.network.mix("mix1").intake
        intake.refusal = Refusal.FULL
        error = await self.refused(client)
        self.assertEqual(error.fields, {"entry": "mix1", "why": "its disk is full"})
        (waiting,) = await client.waiting()
        self.assertTrue(waiting.handed)
        intake.refusal = None
        flushed = await client.flush()
        self.assertEqual((flushed.handed, flushed.kept), ((waiting.id,), {}))
        self.assertEqual(len(self.network.arrived), 1)
        self.assertEqual(await client.waiting(), [])

    async def test_nobody_listens(self):
        """A dead server: kept, never handed over, and sent by another program run."""
        mix = self.network.mix("mix1")
        port, mix.port = mix.port, 1
        self.network.sign(reactor.seconds() - 500)
        source = self.network.mix("mix2").address
        client = self.client(sources=source)
        error = await self.refused(client)
        self.assertEqual(error.fields["why"], "connection refused")
        (waiting,) = await client.waiting()
        self.assertFalse(waiting.handed)
        await client.close()
        mix.port = port
        self.network.sign()
        client = self.client(sources=source)
        await client.update()
        self.assertEqual((await client.flush()).handed, (waiting.id,))
        self.assertEqual(len(mix.intake.packets), 1)

    async def test_wrong_identity(self):
        """Somebody else at the entry's address gets nothing."""
        mix = self.network.mix("mix1")
        mix.host, mix.port = self.network.mix("mix2").host, self.network.mix("mix2").port
        self.network.sign(reactor.seconds() - 500)
        error = await self.refused(self.client(sources=self.network.mix("mix2").address))
        self.assertEqual(error.fields["why"], "wrong identity")
        self.assertEqual(self.network.arrived, [])


class UpdateTests(NetworkCase):
    """Fetching the directory and looking at it."""

    async def test_servers(self):
        """What is listed, by nickname."""
        client = self.client()
        servers = await client.servers()
        self.assertEqual([server.nickname for server in servers], [f"mix{n}" for n in range(1, 6)])

    async def test_kept(self):
        """A directory that is kept serves while it can be used, without asking anybody; the next
        one comes from the network's own servers when the configured source is gone."""
        await self.client().update()
        client = self.client(sources="127.0.0.1:1")
        asked = self.network.shelf.asked
        await client.send("drop", b"x")
        self.assertEqual(self.network.shelf.asked, asked)
        self.network.sign()
        consensus = await client.update()
        self.assertGreater(consensus.valid_after, reactor.seconds() - 60)

    async def test_report(self):
        """What is held, who signed it, and when a running program would fetch."""
        client = self.client()
        with self.assertRaises(NoDirectory):
            await client.directory()
        self.network.sign(reactor.seconds() - 500)
        consensus = await client.update()
        self.network.sign()
        await client.update()
        report = await client.directory()
        self.assertEqual([each.consensus for each in report.held][1:], [consensus])
        standings = report.held[0].standings
        self.assertEqual(
            [(each.identity, str(standing)) for each, standing in standings.authorities],
            [(public, "signed") for _, public in self.network.authorities],
        )
        self.assertEqual((report.evidence, report.warnings), ((), ()))
        assert report.next_fetch is not None
        self.assertGreater(report.next_fetch, reactor.seconds() + 3 * DAY)
        opened, _ = Consensus.open(await client.held(1))
        self.assertEqual(opened, consensus)
        with self.assertRaises(NoDirectory):
            await client.held(2)

    async def test_if_due(self):
        """Nothing is asked before the time has come."""
        client = self.client()
        first = await client.update_if_due()
        self.assertIsNotNone(first)
        asked = self.network.shelf.asked
        self.assertIsNone(await client.update_if_due())
        self.assertEqual(self.network.shelf.asked, asked)

    async def test_default_path(self):
        """A path of the configuration that is not the network's is warned about, one that is
        named for a message is not."""
        client = self.client("[Paths]\ndefault-path = mix1,*2,mix5\n")
        events: list[api.Event] = []
        await client.send("drop", b"x", progress=events.append)
        (warned,) = [event for event in events if isinstance(event, api.Warned)]
        self.assertEqual(warned.warning.code, "path-configured")
        events.clear()
        await client.send("drop", b"x", path="*4", progress=events.append)
        self.assertEqual([event for event in events if isinstance(event, api.Warned)], [])
