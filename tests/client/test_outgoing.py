"""Watching a message on its way out, and calling it back."""

from __future__ import annotations

import gc
import os
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from mixminion import api
from mixminion.client.errors import BadAddress
from tests.client.network import VirtualCase


class WatchTests(VirtualCase):
    def test_events(self) -> None:
        """Every reader has all events from the first one, whenever he comes, and so has who was
        told of them; the result is the same for everybody who asks."""
        told: list[api.Event] = []
        outgoing = self.client.begin(self.client.send, "drop", b"x", progress=told.append)

        async def read() -> list[api.Event]:
            return [event async for event in outgoing]

        readers = [Deferred.fromCoroutine(read()) for _ in range(2)]
        sent = self.clock.result_of(outgoing.when_done())
        late = Deferred.fromCoroutine(read())
        for reader in (*readers, late):
            self.assertEqual(self.successResultOf(reader), told)
        self.assertEqual(list(outgoing.events), told)
        self.assertEqual(told[-1], sent)
        self.assertEqual(self.successResultOf(outgoing.when_done()), sent)
        self.assertEqual(self.successResultOf(outgoing.when_kept()), sent.id)
        self.assertEqual(outgoing.id, sent.id)

    def test_failure(self) -> None:
        """What goes wrong is raised where the events end, and asked for by who wants it."""
        outgoing = self.client.begin(self.client.send, "no address", b"x")

        async def read() -> None:
            async for _ in outgoing:
                raise AssertionError

        for asked in (Deferred.fromCoroutine(read()), outgoing.when_done(), outgoing.when_kept()):
            self.failureResultOf(asked, BadAddress)

    def test_unseen_failure(self) -> None:
        """A failure that nobody asked for is logged."""
        self.client.begin(self.client.send, "no address", b"x")
        gc.collect()
        self.assertEqual(len(self.flushLoggedErrors(BadAddress)), 1)


class CancelTests(VirtualCase):
    def cancel(self, client: api.Client, what: Any) -> api.Cancelled | None:
        """What cancelling says; None when it was too late."""
        try:
            cancelled: api.Cancelled = self.ask(what())
            return cancelled
        except api.AlreadyHandedOver:
            return None

    def test_at_every_step(self) -> None:
        """Whenever a message is called back, either nothing of it ever leaves and nothing is kept,
        or its sender is told that it was handed over, and it arrives."""
        self.ask(self.client.update())
        outcomes: list[bool] = []
        for step in range(1000):
            client, before = self.make_client(), len(self.network.arrived)
            outgoing = client.begin(client.send, "drop", b"x", path="mix1,*2,mix5")
            for _ in range(step):
                calls = self.clock.calls + 1
                self.clock.run_until(lambda: self.clock.calls == calls)  # noqa: B023
            late = outgoing.id is not None and not self.ask(client.waiting())
            cancelled = self.cancel(client, outgoing.cancel)
            outcomes.append(cancelled is not None)
            if cancelled is None:
                self.clock.result_of(outgoing.when_done())
            else:
                self.failureResultOf(outgoing.when_done(), api.Withdrawn)
                self.assertEqual(cancelled.left, 0)
            self.clock.advance(60)
            self.assertEqual(self.ask(client.waiting()), [])
            self.assertEqual(self.ask(client.flush()).handed, ())
            self.assertEqual(len(self.network.arrived) - before, int(cancelled is None))
            self.ask(client.close())
            if late:
                break
        self.assertEqual(outcomes, sorted(outcomes, reverse=True))
        self.assertGreater(outcomes.count(True), 10)
        self.assertGreater(outcomes.count(False), 1)

    def test_while_fetching(self) -> None:
        """A message that waits for the directory is nowhere yet."""
        outgoing = self.client.begin(self.client.send, "drop", b"x")
        self.assertEqual(outgoing.events, (api.Fetching(),))
        self.assertEqual(self.ask(outgoing.cancel()), api.Cancelled(None, 0, 0))
        self.failureResultOf(outgoing.when_done(), api.Withdrawn)
        self.assertEqual(self.ask(outgoing.cancel()), api.Cancelled(None, 0, 0))
        self.ask(self.client.send("drop", b"y"))
        self.assertEqual(len(self.network.arrived), 1)

    def test_fragments(self) -> None:
        """Of a message in several packets those that have not left do not leave, whether they were
        built or not, and the sender hears how many have."""
        lefts = []
        for arrived in (0, 1, 10, 80):
            before = len(self.network.arrived)
            outgoing = self.client.begin(
                self.client.send, "drop", os.urandom(4_000_000), large=True
            )
            self.clock.result_of(outgoing.when_kept())
            self.clock.run_until(
                lambda: len(self.network.arrived) - before >= arrived  # noqa: B023
            )
            [told] = [each for each in outgoing.events if isinstance(each, api.InFragments)]
            cancelled = self.ask(outgoing.cancel())
            self.assertEqual(cancelled.packets + cancelled.left, told.packets)
            self.assertGreater(cancelled.packets, 0)
            with self.assertRaises(api.Withdrawn):
                self.clock.result_of(outgoing.when_done())
            self.clock.advance(60)
            self.assertEqual(len(self.network.arrived) - before, cancelled.left)
            self.assertEqual(self.ask(self.client.waiting()), [])
            self.assertEqual(self.ask(self.client.unbuilt()), [])
            lefts.append(cancelled.left)
        self.assertEqual(lefts[0], 0)
        self.assertGreater(min(lefts[1:]), 0)

    def test_kept(self) -> None:
        """A message that was kept because nobody took it is called back by its number; what was
        handed to a transport once is not."""
        self.ask(self.client.update())
        self.wire.part(["127.0.0.1"], [mix.host for mix in self.network.mixes])
        outgoing = self.client.begin(self.client.send, "drop", b"x")
        with self.assertRaises(api.NotHandedOver):
            self.clock.result_of(outgoing.when_done())
        assert outgoing.id is not None
        self.assertEqual(self.ask(self.client.cancel(outgoing.id)).packets, 1)
        with self.assertRaises(api.AlreadyHandedOver):
            self.ask(self.client.cancel(outgoing.id))
        self.wire.heal()
        for mix in self.network.mixes:
            mix.intake.silent = True
        outgoing = self.client.begin(self.client.send, "drop", b"x")
        with self.assertRaises(api.NotHandedOver):
            self.clock.result_of(outgoing.when_done())
        with self.assertRaises(api.AlreadyHandedOver):
            self.ask(outgoing.cancel())
        self.assertEqual([each.handed for each in self.ask(self.client.waiting())], [True])


class ServiceTests(VirtualCase):
    def test_service(self) -> None:
        """Under a parent it is kept up to date, and closed when that stops."""
        self.config.write_text(self.network.config("[Schedule]\npoints = no\n"))
        client = self.client = self.make_client()
        verifyObject(IService, client)
        parent = MultiService()
        client.setServiceParent(parent)
        parent.startService()
        self.clock.advance(3600)
        first = self.ask(self.client.directory()).held[0].consensus
        self.network.sign()
        self.clock.advance(25 * 86_400)  # at a random moment of the second half of four weeks
        self.assertGreater(
            self.ask(self.client.directory()).held[0].consensus.valid_after, first.valid_after
        )
        self.clock.result_of(parent.stopService())
        calls = self.clock.calls
        self.clock.advance(7 * 86_400)
        self.assertLess(self.clock.calls - calls, 100)
        with self.assertRaisesRegex(RuntimeError, "closed"):
            self.ask(self.client.waiting())
