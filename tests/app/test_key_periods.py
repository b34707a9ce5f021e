"""Key periods of seconds: real servers cross their borders, and a change of suite and back.

The change is announced as authorities announce one: a period has its suite from the first consensus
that lists it on.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from email import message_from_bytes
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThread

from mixminion import api
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.disk import private
from mixminion.mix.keys import periods_in
from mixminion.testing.cases import AsyncTestCase
from mixminion.testing.commands import free_port
from mixminion.testing.directories import ByHand
from mixminion.testing.handsigned import HandSigned
from mixminion.testing.network import LocalNetwork
from mixminion.testing.signings import changing

reactor: Any = installed
PERIOD = 20
INTERVAL = 4
PARAMETERS = replace(
    Parameters.local_demo(),
    mean_delay_ms=200,
    delay_cap_ms=1_000,
    consensus_interval=INTERVAL,
    consensus_fresh=INTERVAL,
    consensus_valid=3 * INTERVAL,
    key_period=PERIOD,
    peer_queue_expiry=30,
)
XWING = PacketGeometry.make("xwing")
X25519 = PacketGeometry.make("x25519", commands=304)
PAUSE = 0.4
"""Seconds between two mails."""


class KeyPeriodTests(AsyncTestCase):
    """Five servers, their directory signed every four seconds, and a sender."""

    timeout = 240

    async def setUp(self) -> None:  # type: ignore[override]
        self.first = int(reactor.seconds()) // PERIOD
        port = free_port(["127.0.0.1"])
        source = f"http://127.0.0.1:{port}/"
        directory = ByHand(PARAMETERS)
        directory.signings.schedule = changing(
            XWING, {self.first + 3: X25519, self.first + 4: XWING}
        )
        self.network = LocalNetwork(Path(self.mktemp()), directory=directory, sources=[source])
        self.addCleanup(deferToThread, self.network.stop)
        await deferToThread(self.network.make)
        self.signer = HandSigned(reactor, directory.signings, [source])
        listening = reactor.listenTCP(port, self.signer.site, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        self.sign()
        signing = LoopingCall(self.sign)
        _ = signing.start(INTERVAL, now=False)
        self.addCleanup(signing.stop)
        await deferToThread(self.network.start)
        self.client = api.Client(reactor, api.load_config(str(self.network.client_config)))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.client.close()))

    def sign(self) -> None:
        """The next consensus, of what the servers say of themselves now."""
        for mix in self.network.mixes:
            self.signer.publish(mix.descriptor)
        self.signer.sign()

    def keyed(self) -> bool:
        """Whether every server has a key for all periods that are listed."""
        view = self.signer.view
        return all(
            view.has_key(server.identity, period)
            for server in view.servers
            for period in view.periods
        )

    async def wait(self, true: Any, seconds: float, complaint: str) -> None:
        """Look again and again."""
        end = reactor.seconds() + seconds
        while not true():
            self.assertTrue(reactor.seconds() < end, complaint)
            await deferLater(reactor, 0.1)

    async def test_borders(self) -> None:
        """Mails all the time: none is refused for its key, each arrives once, under keys of two
        suites; and every server made its keys by itself and erased them again."""
        await self.wait(self.keyed, 30.0, "keys are missing")
        keyed = self.signer.view.consensus.valid_after
        # Servers may have one from before, which was signed when they had no keys yet.
        while (await self.client.update()).valid_after < keyed:
            await deferLater(reactor, 0.5)
        self.client.keep_updated()
        periods: Counter[int] = Counter()
        sent = 0
        while reactor.seconds() < (self.first + 4) * PERIOD + 5.0:
            periods[int(reactor.seconds()) // PERIOD - self.first] += 1
            # A server that is busy for a moment gets its own again later.
            with contextlib.suppress(api.NotHandedOver):
                await self.client.send("bob@example.test", b"mail %d" % sent)
            sent += 1
            await deferLater(reactor, PAUSE)
        self.assertTrue(all(periods[n] > 5 for n in (2, 3, 4)), periods)
        while await self.client.waiting():
            await self.client.flush()
        await self.wait(lambda: len(self._arrived()) >= sent, 30.0, "mails are missing")
        self.assertEqual(self._arrived(), Counter(f"mail {n}" for n in range(sent)))
        for mix in self.network.mixes:
            await self._judge(mix)

    async def _judge(self, mix: Any) -> None:
        """It dropped nothing, and has the keys of now."""
        status = await deferToThread(mix.ask, "status")
        counted = status["counters"]
        self.assertEqual([name for name in counted if "drop" in name or name == "expired"], [])
        self.assertTrue(counted["pooled"] > 10, counted)
        suites = {int(period): suite for period, suite in status["key-periods"].items()}
        self.assertEqual(suites[self.first + 4], "xwing")
        kept = periods_in(mix.home / "keys")
        self.assertTrue(self.first + 1 < min(kept) <= self.first + 3, kept)
        self.assertEqual(status["needs-restart"], [])
        text = private.read(mix.home / "log" / "mixminion.log").decode()
        self.assertIn("Erased the packet keys", text)

    def _arrived(self) -> Counter[str]:
        """The texts of mails that have arrived."""
        mails = [message_from_bytes(path.read_bytes()) for path in self.network.mails()]
        return Counter(str(mail.get_payload()).strip() for mail in mails)
