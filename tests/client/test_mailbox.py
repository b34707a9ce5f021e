"""Mailboxes through a whole network on a virtual clock: what is sent to one is what is fetched."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from mixminion import api
from mixminion.client.errors import MailboxAway, NoSuchMailbox
from mixminion.directory.parameters import Parameters
from mixminion.exits import registry
from mixminion.interfaces import IExit
from mixminion.mmtp.errors import DialFailed
from mixminion.paths.errors import NoExit, UnusableServer
from mixminion.payload import reply
from mixminion.sphinx import build, surb
from mixminion.sphinx.build import Hop
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.virtual import VirtualNetwork
from tests.exits import kit

T = TypeVar("T")
MODULES = {"mailbox": registry.LazyModule("mailbox", "mixminion.exits.mailbox")}
SECTION = "[Exit mailbox]\nmodule = mailbox\n"


def exits() -> dict[str, IExit]:
    return registry.load(kit.config(SECTION, MODULES), kit.Environment(None), MODULES)


class NetworkCase(SyncTestCase):
    def setUp(self) -> None:
        self.network = VirtualNetwork(
            Path(self.mktemp()), parameters=Parameters.local_demo(), exits=exits
        )
        self.network.start()
        self.addCleanup(self.network.stop)
        self.owner = self.network.client("owner")
        self.sender = self.network.client("sender")
        self.addCleanup(lambda: [self.do(each.close()) for each in (self.owner, self.sender)])

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.network.clock.result_of(Deferred.fromCoroutine(work))

    def box(self, number: int = 4) -> api.Mailbox:
        """The owner's mailbox at a mix."""
        made = [each for each in self.do(self.owner.mailboxes()) if each.nickname == f"mix{number}"]
        return made[0] if made else self.do(self.owner.create_mailbox(f"mix{number}"))

    def send(self, text: bytes) -> None:
        self.do(self.sender.send(self.box().address, text))
        self.network.clock.advance(60)

    def fetched(self, frames: int = 4) -> list[tuple[bytes | None, bytes]]:
        """What one visit brings; read."""
        number = self.box().number
        self.do(self.owner.visit_mailbox(number, frames))
        unread = self.do(self.owner.unread(number))
        self.do(self.owner.mark_read(each.number for each in unread))
        self.assertEqual(self.do(self.owner.unread(number)), [])
        return [(each.handle, each.content) for each in unread]


class MailboxTests(NetworkCase):
    def test_message(self) -> None:
        """What was sent to the address is fetched as it was sent, once."""
        self.assertEqual(self.fetched(), [])
        text = bytes(range(256)) * 50
        self.send(text)
        self.assertEqual(self.fetched(), [(None, text)])
        self.assertEqual(self.fetched(), [])

    def test_fragments(self) -> None:
        """A message that one packet cannot carry."""
        text = bytes(self.network.random.octets(40_000))
        self.send(text)
        self.assertEqual(self.fetched(8), [(None, text)])

    def test_killed(self) -> None:
        """A server that is killed holds what it held, and gives it at once when it is back."""
        self.send(b"one")
        mix = self.network.mixes[3]
        mix.kill()
        self.assertRaises(DialFailed, self.fetched)
        mix.start()
        self.network.clock.advance(0.1)
        self.assertEqual(self.fetched(), [(None, b"one")])
        mix.kill()
        mix.start()
        self.network.clock.advance(10)
        self.assertEqual(self.fetched(), [])

    def test_cut_before_the_acknowledgement(self) -> None:
        """What was made safe and not acknowledged is given again, and recognised."""
        self.send(b"one")
        number = self.box().number
        visit = Deferred.fromCoroutine(self.owner.visit_mailbox(number, 4))
        self.network.clock.run_until(
            lambda: len(self.successResultOf(Deferred.fromCoroutine(self.owner.unread(number)))) > 0
        )
        self.network.wire.drop("127.4.0.1")
        self.failureResultOf(visit)
        self.network.clock.advance(1)
        [unread] = self.do(self.owner.unread(number))
        self.assertEqual(unread.content, b"one")
        self.do(self.owner.mark_read([unread.number]))
        self.assertEqual(self.fetched(), [])
        found = self.do(self.owner.visit_mailbox(number, 1))
        self.assertEqual(found.held, 0)

    def test_reply(self) -> None:
        """A sealed reply is fetched with the handle of its block, and opens with its key."""
        network, mailbox = self.network, self.box()
        view, geometry, random = network.view, network.geometry, network.random
        period = view.current_period(network.clock.seconds())
        now = network.clock.seconds()

        def path(*numbers: int) -> list[Hop]:
            return [
                Hop(mix.node_id, view.packet_key(mix.identity, period), 500)
                for mix in (network.mixes[number - 1] for number in numbers)
            ]

        capability = mailbox.address.partition(":")[2].partition("@")[0]
        block, key = surb.make(
            geometry, path(2, 3, 1, 4), "mailbox", capability, int(now), int(now) + 3600, random
        )
        body = reply.to_body(geometry, block, b"the answer", random)
        packet = build.crossover(geometry, path(3, 2, 4, 1), body, random)
        network.send(network.mixes[2], [packet])
        network.clock.advance(60)
        [(handle, sealed)] = self.fetched()
        self.assertEqual(handle, key.surb_id)
        self.assertEqual(reply.open(geometry, key, sealed), b"the answer")

    def test_others(self) -> None:
        """Somebody else with a mailbox at the same server gets nothing of it."""
        self.send(b"one")
        other = self.do(self.sender.create_mailbox("mix4"))
        self.assertEqual(self.do(self.sender.visit_mailbox(other.number)), api.Visit(0, 0))
        self.assertEqual(self.fetched(), [(None, b"one")])


class NamesTests(NetworkCase):
    def test_create(self) -> None:
        """A mailbox is a key of its own, at the server that was named or at one that has some."""
        first = self.do(self.owner.create_mailbox("MIX2"))
        second = self.do(self.owner.create_mailbox())
        self.assertEqual((first.number, first.nickname), (1, "mix2"))
        self.assertIn(second.nickname, {f"mix{n}" for n in range(1, 5)})
        self.assertNotEqual(first.capability, second.capability)
        self.assertRegex(first.address, r"^mailbox:[A-Za-z0-9_-]{43}@mix2$")
        self.assertEqual(self.do(self.owner.mailboxes()), [first, second])
        self.assertEqual(self.do(self.sender.mailboxes()), [])

    def test_unknown(self) -> None:
        """A number that there is not, and a server that has left the directory."""
        self.assertRaises(NoSuchMailbox, self.do, self.owner.visit_mailbox(7))
        self.assertRaises(NoSuchMailbox, self.do, self.owner.unread(7))
        mailbox = self.box(4)
        self.network.leave(self.network.mixes[3])
        self.network.clock.advance(self.network.parameters.consensus_interval)
        self.network.signer.sign()
        self.do(self.owner.update())
        self.assertRaises(MailboxAway, self.do, self.owner.visit_mailbox(mailbox.number))


class NoMailboxesTests(SyncTestCase):
    def test_none(self) -> None:
        """A network without such an exit says so."""
        network = VirtualNetwork(Path(self.mktemp()), parameters=Parameters.local_demo())
        network.start()
        self.addCleanup(network.stop)
        client = network.client()

        def do(work: Coroutine[Any, Any, T]) -> T:
            return network.clock.result_of(Deferred.fromCoroutine(work))

        self.assertRaises(NoExit, do, client.create_mailbox())
        self.assertRaises(UnusableServer, do, client.create_mailbox("mix1"))
        do(client.close())
