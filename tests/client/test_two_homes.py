"""A conversation of ten messages between two homes through six servers, and all that each of these
got to know: peers, commands, payloads, and what was logged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from mixminion import api
from mixminion.crypto.kdf import sha256
from mixminion.mix.batches import Answer, Answers, Drop
from mixminion.mix.unwrapping import Unwrapping
from mixminion.payload import capability
from mixminion.sphinx.unwrap import Deliver, Relay, Reply
from mixminion.testing import embedding, virtualmix
from mixminion.testing.cases import SyncTestCase

HOSTS = {"alice": "127.201.7.1", "bob": "127.202.7.1"}
WINDOW = 16


@dataclass(frozen=True)
class Sight:
    """One packet at one server: what it was and what came of it."""

    server: str
    packet: bytes
    result: Relay | Deliver | Reply

    @property
    def leaving(self) -> bytes:
        """What the server has after unwrapping."""
        match self.result:
            case Relay():
                return self.result.packet
            case Deliver():
                return self.result.body
            case Reply():
                return self.result.payload


class ConversationTests(SyncTestCase):
    def setUp(self) -> None:
        self.sights: list[Sight] = []
        self.peers: dict[str, set[str]] = {}
        self.logged: list[str] = []
        self.capture()
        kit = embedding.network(6, Path(self.mktemp()))
        self.net = kit.__enter__()
        self.addCleanup(kit.__exit__, None, None, None)
        self.clients = {name: self.net.client(name, host=host) for name, host in HOSTS.items()}

    def capture(self) -> None:
        """Look over every server's shoulder."""
        unwrap, listening = Unwrapping.unwrap, virtualmix.Listening.__init__

        def watched(
            unwrapping: Unwrapping, periods: Sequence[int], packets: Sequence[bytes]
        ) -> Answers:
            answers = unwrap(unwrapping, periods, packets)
            [server] = [mix.nickname for mix in self.net.mixes if mix.keys is unwrapping.keys]
            for packet, answer in zip(packets, answers, strict=True):
                assert isinstance(answer, Answer) and not isinstance(answer, Drop)
                self.sights.append(Sight(server, packet, answer.result))
            return answers

        def listens(mine: Any, network: Any, host: str, factory: Any, process: Any) -> None:
            build = factory.buildProtocol

            def noted(address: Any) -> Any:
                self.peers.setdefault(host, set()).add(address.host)
                return build(address)

            factory.buildProtocol = noted
            listening(mine, network, host, factory, process)

        self.patch(Unwrapping, "unwrap", watched)
        self.patch(virtualmix.Listening, "__init__", listens)

        @implementer(ILogObserver)
        def note(event: LogEvent) -> None:
            fields = {k: v for k, v in event.items() if not isinstance(v, Failure)}
            self.logged.append(f"{formatEvent(event)} {fields}")

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)

    def receive(self, name: str) -> api.Opened:
        """What has come for somebody, who takes it."""
        client = self.clients[name]
        self.net.clock.advance(60)
        for box in self.net.result(client.mailboxes()):
            self.net.result(client.visit_mailbox(box.number))
        [opened] = self.net.result(client.inbox.unread())
        self.net.result(client.inbox.mark_read([opened]))
        return opened

    def talk(self) -> list[tuple[str, bytes]]:
        """Ten messages, each an answer to the one before; who wrote, and what."""
        alice, bob = self.clients["alice"], self.clients["bob"]
        for client in (alice, bob):
            self.net.result(client.update())
        box = self.net.result(bob.create_mailbox())
        said: list[tuple[str, bytes]] = []
        blocks: tuple[bytes, ...] = ()
        for n in range(10):
            name, other = ("alice", "bob") if n % 2 == 0 else ("bob", "alice")
            text = b"saying-%d-of-%s\n" % (n, name.encode())
            client = self.clients[name]
            if n == 0:
                send = client.send(box.address, text, reply_blocks=1)
            else:
                send = client.reply(blocks, text, reply_blocks=1)
            self.net.result(send)
            said.append((name, text))
            came = self.receive(other)
            self.assertIn(text.strip(), came.content)
            blocks = came.blocks
        return said

    def chains(self) -> list[list[Sight]]:
        """The packets from the first server to the last, by their octets."""
        made = {sha256(each.leaving): each for each in self.sights}
        follows = {sha256(each.packet): each for each in self.sights}
        first = [each for each in self.sights if sha256(each.packet) not in made]
        found = []
        for each in first:
            chain = [each]
            while (following := follows.get(sha256(chain[-1].leaving))) is not None:
                chain.append(following)
            found.append(chain)
        return found

    def test_conversation(self) -> None:
        """None but the last hop of a packet sees an address, and none sees both ends."""
        said = self.talk()
        chains = self.chains()
        self.assertEqual(len(chains), 10)
        self.assertEqual(sum(map(len, chains)), len(self.sights))
        hops = self.net.view.parameters.hops
        for number, chain in enumerate(chains):
            # a message takes one path, an answer a second one behind its crossover
            self.assertEqual(len(chain), hops if number == 0 else 2 * hops)
            *others, last = chain
            for each in others:
                assert isinstance(each.result, Relay)  # a delay, the next server, and octets
            self.assertIsInstance(last.result, Deliver if number == 0 else Reply)
            for path in (chain[:hops], chain[hops:]):
                self.assertEqual(len({each.server for each in path}), len(path))
        self.check_addresses(chains)
        self.check_octets(chains)
        self.check_peers(chains)
        self.check_logs([text.strip() for _, text in said])

    def check_addresses(self, chains: list[list[Sight]]) -> None:
        """A mailbox's name, in any form, is seen where it is and nowhere else; a text by no
        server but the exit of the one that was no answer."""
        lasts = {id(chain[-1]) for chain in chains}
        for client in self.clients.values():
            for box in self.net.result(client.mailboxes()):
                text = capability.to_text(box.capability)
                for each in self.sights:
                    seen = (each.packet + each.leaving, repr(each.result).encode())
                    found = any(box.capability in o or text.encode() in o for o in seen)
                    if found:
                        self.assertIn(id(each), lasts)
                        self.assertEqual(each.server, box.nickname)
        for each in self.sights:
            at_home = each is chains[0][-1]
            self.assertEqual(b"saying-" in each.packet + each.leaving, at_home)

    def check_octets(self, chains: list[list[Sight]]) -> None:
        """No server that comes twice on the way of one message, before and after the crossover, can
        tell by octets: no sixteen of them are in two forms of a packet."""
        for chain in chains:
            forms = [chain[0].packet, *(each.leaving for each in chain)]
            blocks: dict[bytes, int] = {}
            for number, form in enumerate(forms):
                for at in range(0, len(form) - WINDOW, WINDOW):
                    blocks[form[at : at + WINDOW]] = number
            for number, form in enumerate(forms):
                for at in range(len(form) - WINDOW):
                    other = blocks.get(form[at : at + WINDOW], number)
                    self.assertEqual(other, number)

    def check_peers(self, chains: list[list[Sight]]) -> None:
        """The home where a packet comes from is seen by the first server alone, as its peer: which
        knows no more of it than the next one.  All peers are servers and homes, and
        no home is named in what is inside."""
        mixes = {mix.nickname: mix.host for mix in self.net.mixes}
        homes = set(HOSTS.values())
        for number, chain in enumerate(chains):
            sender = HOSTS["alice" if number % 2 == 0 else "bob"]
            self.assertIn(sender, self.peers[mixes[chain[0].server]])
            following = [mix.node_id for mix in self.net.mixes if mix.nickname == chain[1].server]
            assert isinstance(chain[0].result, Relay)
            self.assertEqual([chain[0].result.next], following)
            octets = b"".join(each.packet + each.leaving for each in chain)
            self.assertFalse([home for home in homes if home.encode() in octets])
        for known in self.peers.values():
            self.assertLessEqual(known, homes | set(mixes.values()))

    def check_logs(self, words: list[bytes]) -> None:
        """Nothing that was logged has an address, an id, or a text."""
        secret = [word.decode() for word in words] + list(HOSTS.values())
        for client in self.clients.values():
            for box in self.net.result(client.mailboxes()):
                secret += [capability.to_text(box.capability), box.capability.hex()]
        for each in self.sights:
            secret.append(each.result.tag.hex())
            if isinstance(each.result, Reply):
                secret += [each.result.surb_id.hex(), each.result.address]
        for line in self.logged:
            for one in secret:
                self.assertNotIn(one, line)

    def test_the_capture(self) -> None:
        """It does see: the packets of a message, its sender's address, and what is logged."""
        _ = Deferred.fromCoroutine(self.clients["alice"].send("bob@example.org", b"Hello"))
        self.net.clock.advance(60)
        self.assertEqual(len(self.net.mails), 1)
        [chain] = self.chains()
        self.assertEqual(len(chain), 4)
        self.assertIn(b"bob@example.org", chain[-1].leaving)
        self.assertTrue(any(HOSTS["alice"] in known for known in self.peers.values()))
