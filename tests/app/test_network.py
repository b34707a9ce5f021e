"""Real processes: what a person would do with a network, and what may happen to it."""

import contextlib
from collections import Counter
from email import message_from_bytes
from email.message import Message
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.threads import deferToThread

from mixminion import api
from mixminion.testing.cases import AsyncTestCase
from mixminion.testing.commands import NetworkError, wait_until
from mixminion.testing.network import LocalNetwork, Mix

TOGETHER = 50
"""Mails that the client sends at once."""


def read(network: LocalNetwork) -> list[Message]:
    """The mails that have arrived."""
    return [message_from_bytes(path.read_bytes()) for path in network.mails()]


class NetworkTests(AsyncTestCase):
    """Five mixes, two of them exits, and an SMTP server, all processes of their own."""

    timeout = 240

    async def setUp(self) -> None:  # type: ignore[override]
        self.network = LocalNetwork(Path(self.mktemp()))
        await deferToThread(self.network.make)
        self.addCleanup(deferToThread, self.network.stop)
        await deferToThread(self.network.start)
        self.client = api.Client(reactor, api.load_config(str(self.network.client_config)))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.client.close()))

    async def test_kill_every_server_in_turn_while_mails_are_on_their_way(self) -> None:
        """1,000 mails: all arrive, none under two Message-IDs."""
        count = 1000
        sending = Deferred.fromCoroutine(self._send(count))
        under_way = []
        for mix in self.network.mixes:
            await deferToThread(
                wait_until, lambda mix=mix: self._held(mix), 60.0, "nothing is under way"
            )
            under_way.append(await deferToThread(self._held, mix))
            await deferToThread(mix.kill)
            await deferToThread(mix.start)
        self.assertTrue(all(under_way), under_way)
        await sending
        await self._flush()
        await deferToThread(wait_until, lambda: self._texts() >= count, 120.0, "mail is missing")
        mails = read(self.network)
        texts = {str(mail.get_payload()) for mail in mails}
        ids = Counter(str(mail["Message-ID"]) for mail in mails)
        self.assertEqual((len(texts), len(ids)), (count, count))
        # What an exit was handing over when it was killed may come again, under the same ID.
        self.assertLessEqual(len(mails) - count, 2 * 4)
        self.assertEqual(await self._left(), 0)

    async def _send(self, count: int) -> None:
        """Send *count* mails, several at a time; those that are not handed over are kept."""

        async def send_one(n: int) -> None:
            with contextlib.suppress(api.NotHandedOver):
                await self.client.send("bob@example.test", b"mail %d" % n, subject="Many")

        for first in range(0, count, TOGETHER):
            numbers = range(first, min(first + TOGETHER, count))
            sends = [Deferred.fromCoroutine(send_one(n)) for n in numbers]
            await DeferredList(sends, fireOnOneErrback=True)

    async def _flush(self) -> None:
        """Hand over what is kept."""
        for _ in range(20):
            if not await self.client.waiting():
                return
            with contextlib.suppress(api.NotHandedOver):
                await self.client.flush()
        self.assertEqual(len(await self.client.waiting()), 0)

    def _texts(self) -> int:
        return len({str(mail.get_payload()) for mail in read(self.network)})

    @staticmethod
    def _held(mix: Mix) -> int:
        """Packets and messages that a mix holds."""
        store = mix.ask("status")["store"]
        return int(store["incoming"]) + int(store["pooled"])

    async def _left(self) -> int:
        """Packets and messages that the mixes still hold."""

        def count() -> int:
            return sum(self._held(mix) for mix in self.network.mixes)

        with contextlib.suppress(NetworkError):
            await deferToThread(wait_until, lambda: count() == 0, 60.0, "left")
        return await deferToThread(count)
