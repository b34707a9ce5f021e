"""A packet that comes again, to a real mix with a real mail server behind it."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.threads import deferToThread

from mixminion.benchmarks.parts import view_of
from mixminion.testing.cases import AsyncTestCase
from mixminion.testing.commands import wait_until
from mixminion.testing.network import LocalNetwork
from tests.app import kit


class ReplayTests(AsyncTestCase):
    """One mix that is an exit, as its operator starts and stops it."""

    timeout = 90

    async def setUp(self) -> None:  # type: ignore[override]
        self.network = LocalNetwork(Path(self.mktemp()), mixes=1)
        await deferToThread(self.network.make)
        self.addCleanup(deferToThread, self.network.stop)
        await deferToThread(self.network.start)
        (self.mix,) = self.network.mixes
        self.view = view_of(self.network.folder)

    def mail(self, text: bytes) -> bytes:
        """A packet with a mail."""
        content = b"Subject: Replays\r\n\r\n" + text
        return kit.packet(self.view, content, "smtp", ["bob@example.test"])

    async def send(self, *packets: bytes) -> None:
        """Each is received as any other is: the sender learns nothing."""
        sender = await kit.send(self.view, self.mix.address, packets)
        self.assertEqual(sender.received_keys, list(range(len(packets))))

    async def assertCounted(self, **wanted: int) -> None:
        """Wait for these counters, and see that they stay."""

        def counted() -> dict[str, int]:
            counters = self.mix.ask("status")["counters"]
            return {name: counters.get(name, 0) for name in wanted}

        await deferToThread(wait_until, lambda: counted() == wanted, 10.0, f"not {wanted}")
        self.assertEqual(await deferToThread(counted), wanted)

    async def test_replays(self) -> None:
        """Dropped and counted: at once, after a stop, and after kill -9; the mail comes once."""
        packet = self.mail(b"once")
        await self.send(packet, packet)
        await self.assertCounted(received=2, replayed=1, delivered=1)
        for end in (self.mix.stop, self.mix.kill):
            await deferToThread(end)
            await deferToThread(self.mix.start)
            await self.send(packet)
            await self.assertCounted(received=1, replayed=1, pooled=0, delivered=0)
        await self.send(self.mail(b"another"), packet)
        await self.assertCounted(received=3, replayed=2, pooled=1, delivered=1)
        texts = [path.read_text().splitlines()[-1] for path in self.network.mails()]
        self.assertEqual(sorted(texts), ["another", "once"])
