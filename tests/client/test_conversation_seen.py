"""A conversation of ten messages through six servers, and all that each of these knew: who was
linked with it, what every packet told it, what it delivered, what it logged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from typing_extensions import override

from mixminion import api
from mixminion.directory.parameters import Parameters
from mixminion.mix.batches import Answer, Answers
from mixminion.mix.unwrapping import Unwrapping
from mixminion.sphinx.unwrap import Deliver, Relay, Reply
from mixminion.testing import virtualmix
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.virtual import VirtualNetwork
from tests.client.test_mailbox import exits

HOSTS = {"alice": "127.0.0.11", "bob": "127.0.0.12"}
SERVERS = 6


@dataclass(frozen=True, slots=True)
class Told:
    """What one packet told one server, by its node id."""

    server: bytes
    answer: Relay | Deliver | Reply

    @property
    def octets(self) -> bytes:
        """All of it."""
        match self.answer:
            case Relay():
                return self.answer.next + self.answer.packet
            case Deliver():
                return self.answer.body
            case Reply():
                words = f"{self.answer.exit} {self.answer.address} ".encode()
                return words + self.answer.surb_id + self.answer.payload


class Watched(Unwrapping):
    """A worker whose answers are written down."""

    told: ClassVar[list[Told]] = []

    @override
    def unwrap(self, periods: Sequence[int], packets: Sequence[bytes]) -> Answers:
        answers = super().unwrap(periods, packets)
        self.told.extend(
            Told(self.keys._node_id, each.result) for each in answers if isinstance(each, Answer)
        )
        return answers


class SeenTests(SyncTestCase):
    def setUp(self) -> None:
        self.told: list[Told] = []
        self.dialled: list[tuple[str, str]] = []
        self.logged: list[str] = []
        self.patch(Watched, "told", self.told)
        self.patch(virtualmix, "Unwrapping", Watched)
        self.network = VirtualNetwork(
            Path(self.mktemp()), SERVERS, parameters=Parameters.local_demo(), exits=exits
        )
        dial = self.network.wire.client

        def client(host: str, port: int, source: str = "127.0.0.1") -> Any:
            self.dialled.append((source, host))
            return dial(host, port, source)

        self.patch(self.network.wire, "client", client)
        self.network.start()
        self.addCleanup(self.network.stop)
        self.people = {name: self.network.client(name, host=host) for name, host in HOSTS.items()}
        for each in self.people.values():
            self.addCleanup(self.close, each)
        note: Any = self.note
        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)

    def note(self, event: LogEvent) -> None:
        self.logged.append(f"{formatEvent(event)} {event!r}")

    def close(self, client: api.Client) -> None:
        self.do(client.close())

    def do(self, work: Any) -> Any:
        return self.network.clock.result_of(Deferred.fromCoroutine(work))

    def host(self, node_id: bytes) -> str:
        return next(mix.host for mix in self.network.mixes if mix.node_id == node_id)

    def sent(self, writer: str, work: Any) -> tuple[set[str], list[Told]]:
        """Have *writer* send; which servers he was linked with, and what servers were told."""
        self.dialled.clear()
        self.told.clear()
        sent = self.do(work)
        linked = {there for source, there in self.dialled if source == HOSTS[writer]}
        linked |= {mix.host for mix in self.network.mixes if mix.nickname == sent.entry}
        self.network.clock.advance(60)
        return linked, list(self.told)

    def capability(self, box: api.Mailbox) -> bytes:
        return box.address.partition(":")[2].partition("@")[0].encode()

    def test_ten_messages(self) -> None:
        """Nobody but the last hop of a packet sees an address; nobody sees who sends and to whom;
        the logs have none of it."""
        alice, bob = self.people["alice"], self.people["bob"]
        for each in (alice, bob):
            self.do(each.update())
        boxes = {"bob": self.do(bob.create_mailbox()), "alice": self.do(alice.create_mailbox())}
        secrets = [b"message", *map(self.capability, boxes.values())]
        text = ""
        for number in range(1, 11):
            writer, reader = ("alice", "bob") if number % 2 else ("bob", "alice")
            sender, content = self.people[writer], b"message %d" % number
            if number == 1:
                work = sender.send(boxes["bob"].address, content, reply_blocks=1)
            else:
                work = sender.reply(text.encode(), content, reply_blocks=1)
            linked, told = self.sent(writer, work)
            self.assertEqual(len(linked), 1)
            last = self.check(number, told, self.capability(boxes[reader]), secrets)
            self.assertEqual(linked & last, set(), "the entry sees the recipient, too")

            self.do(self.people[reader].visit_mailbox(boxes[reader].number))
            [opened] = self.do(self.people[reader].inbox.unread())
            self.do(self.people[reader].inbox.mark_read([opened]))
            text = opened.content.decode()
            self.assertEqual(text.partition("\n")[0].encode(), content)
        logged = "\n".join(self.logged).encode()
        self.assertGreater(len(logged), 0)
        for secret in secrets[1:] + [host.encode() for host in HOSTS.values()]:
            self.assertNotIn(secret, logged)

    def check(
        self, number: int, told: Sequence[Told], recipient: bytes, secrets: Sequence[bytes]
    ) -> set[str]:
        """Of one message on its way: who sees what; the hosts of those that see the recipient."""
        last = {self.host(each.server) for each in told if recipient in each.octets}
        self.assertEqual(len(last), 1)
        for each in told:
            seen = [secret for secret in secrets if secret in each.octets]
            if isinstance(each.answer, Relay):
                self.assertEqual(seen, [], "a server on the way sees more than the next one")
            elif number == 1:
                self.assertEqual(seen, [b"message", recipient])
            else:  # what is sealed in a reply nobody reads but its owner
                self.assertIsInstance(each.answer, Reply)
                self.assertEqual(seen, [recipient])
        relays = [each for each in told if isinstance(each.answer, Relay)]
        hops = self.network.parameters.hops
        # a crossover is one more packet: its own path to there, and the reply block's from there
        self.assertEqual(len(relays), hops - 1 if number == 1 else 2 * hops - 1)
        for one, other in pairwise(relays):
            self.assertEqual(self.host(one.answer.next), self.host(other.server))
        return last
