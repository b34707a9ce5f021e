"""Messages with receipts, on a whole network: what became of them is known, what was lost is sent
again, and each is delivered once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mixminion import api
from mixminion.client import receipt_rows, receipts, running
from mixminion.client.receipts import ATTEMPTS, ReceiptState, patience
from mixminion.counters import Name
from mixminion.directory.parameters import Parameters
from mixminion.interfaces import Message, Outcome, OutcomeKind
from mixminion.testing.virtual import VirtualNetwork
from mixminion.testing.virtualmix import VirtualMix
from tests.client.conversations import ConversationCase
from tests.client.test_mailbox import exits

TO = "collect:bob"


class ReceiptCase(ConversationCase):
    """Six mixes, each of which collects and has mailboxes."""

    def setUp(self) -> None:
        self.network = VirtualNetwork(
            Path(self.mktemp()), 6, parameters=Parameters.local_demo(), exits=exits
        )
        self.network.start()
        self.addCleanup(self.network.stop)
        self.alice = self.network.client("alice")
        self.addCleanup(lambda: self.do(self.alice.close()))

    def send(self, content: bytes = b"hello", to: str = TO, **options: Any) -> api.Sent:
        return self.do(self.alice.send(to, content, receipt=True, **options))

    @property
    def delivered(self) -> list[Message]:
        return [each for mix in self.network.mixes for each in mix.exit.messages]

    def pass_time(self, attempt: int = 0) -> None:
        """As long as a receipt has."""
        self.network.clock.advance(patience(self.network.view, attempt, 0.0) + 1)

    def check(self) -> receipts.Receipt:
        """Visit the mailbox and do what is due; what is known of the one message."""
        [found] = self.do(self.alice.receipts.check())
        return found

    def exit_of(self, nth: int = -1) -> VirtualMix:
        """The mix that has the message."""
        tried = self.select("tried")
        servers = [tried[at : at + 32] for at in range(0, len(tried), 32)]
        [mix] = [mix for mix in self.network.mixes if mix.identity == servers[nth]]
        return mix

    def select(self, column: str) -> Any:
        """What the state says of the one message."""

        async def run() -> Any:
            query = f"SELECT {column} FROM receipts"
            return await self.alice._parts.database.run(
                lambda connection: connection.execute(query).fetchone()[0]
            )

        return self.do(run())

    def silence(self, drop: Callable[[VirtualMix], bool] = lambda mix: True) -> None:
        """Exits that take packets for themselves and drop them."""
        for mix in self.network.mixes:
            assert mix.server is not None
            if drop(mix):
                self.patch(mix.server.delivery, "accept", lambda payload, due: "discarded")

    def speak(self) -> None:
        """No exit does that any more."""
        for mix in self.network.mixes:
            assert mix.server is not None
            mix.server.delivery.__dict__.pop("accept", None)

    def lose_receipts(self) -> None:
        """No receipt arrives: mailboxes take nothing."""
        for mix in self.network.mixes:
            assert mix.server is not None
            self.patch(mix.server.delivery, "accept_reply", lambda *given: "discarded")

    def find_receipts(self) -> None:
        """They do again."""
        for mix in self.network.mixes:
            assert mix.server is not None
            mix.server.delivery.__dict__.pop("accept_reply", None)


class OutcomeTests(ReceiptCase):
    def test_accepted(self) -> None:
        """One packet there, a receipt back into a mailbox made for that; the text is gone."""
        sent = self.send()
        self.assertEqual(sent.packets, 1)
        [waiting] = self.do(self.alice.receipts.all())
        self.assertEqual((waiting.state, waiting.message), (ReceiptState.WAITING, sent.id))
        self.pass_time()
        found = self.check()
        self.assertEqual(
            (found.state, found.reason, found.attempts), (ReceiptState.ACCEPTED, "collected", 1)
        )
        self.assertEqual([each.content for each in self.delivered], [b"hello"])
        self.assertEqual(len(self.do(self.alice.mailboxes())), 1)
        self.assertIsNone(self.select("message"))
        self.assertEqual(self.do(self.alice.inbox.unread()), [])
        self.pass_time(5)
        self.assertEqual(self.check(), found)
        self.assertEqual(len(self.delivered), 1)

    def test_refused(self) -> None:
        """The next system does not want it; nothing is sent again."""
        for mix in self.network.mixes:
            mix.exit.outcome = Outcome(OutcomeKind.PERMANENT, "smtp-550")
        self.send()
        self.pass_time()
        found = self.check()
        self.assertEqual((found.state, found.reason), (ReceiptState.REFUSED, "smtp-550"))
        self.pass_time(5)
        self.assertEqual(self.check().attempts, 1)

    def test_temporary_then_accepted(self) -> None:
        """The next system says later: sent again meanwhile, and delivered once."""
        for mix in self.network.mixes:
            mix.exit.outcome = Outcome(OutcomeKind.TEMPORARY, "smtp-450")
        self.send()
        self.pass_time()
        self.assertEqual(self.check().attempts, 2)
        for mix in self.network.mixes:
            mix.exit.outcome = Outcome(OutcomeKind.DELIVERED, "collected")
        self.network.clock.advance(90)
        found = self.check()
        self.assertEqual((found.state, found.attempts), (ReceiptState.ACCEPTED, 2))
        self.assertEqual(len(self.delivered), 1)

    def test_large(self) -> None:
        """In several packets, with repair pieces, deflated or not."""
        content = b"".join(b"%d bottles\r\n" % n for n in range(40_000))
        sent = self.send(content, large=True)
        self.assertGreater(sent.packets, 5)
        self.pass_time(1)
        self.assertEqual(self.check().state, ReceiptState.ACCEPTED)
        self.assertEqual([each.content for each in self.delivered], [content])

    def test_visit_takes_receipts(self) -> None:
        """Whoever visits the mailbox sees what people wrote, and receipts are known."""
        self.send()
        self.pass_time()
        self.fetch(self.alice)
        self.assertEqual(self.do(self.alice.inbox.unread()), [])
        [found] = self.do(self.alice.receipts.all())
        self.assertEqual(found.state, ReceiptState.ACCEPTED)


class AgainTests(ReceiptCase):
    def test_silent_exit(self) -> None:
        """It takes packets and drops them: no receipt comes, the message goes to it once more and
        then by another one; it arrives once."""
        self.send()
        silent = self.exit_of()
        self.silence(lambda mix: mix is silent)
        self.pass_time()
        self.assertEqual(self.check().attempts, 2)
        self.assertEqual(self.exit_of(), silent)
        self.pass_time(1)
        self.assertEqual(self.check().attempts, 3)
        self.assertNotEqual(self.exit_of(), silent)
        self.pass_time(2)
        found = self.check()
        self.assertEqual((found.state, found.attempts), (ReceiptState.ACCEPTED, 3))
        [message] = self.delivered
        self.assertEqual(message.content, b"hello")
        self.assertEqual(silent.exit.messages, [])
        self.pass_time(5)
        self.check()
        self.assertEqual(len(self.delivered), 1)

    def test_lost_on_the_way(self) -> None:
        """The packet never arrives at its exit: sent again by another path, delivered once."""
        self.silence()
        self.send()
        self.pass_time()
        self.speak()
        self.assertEqual(self.check().attempts, 2)
        self.pass_time(1)
        self.assertEqual(self.check().state, ReceiptState.ACCEPTED)
        self.assertEqual(len(self.delivered), 1)

    def test_receipt_lost(self) -> None:
        """The receipt never arrives: the same exit answers from its mark, and hands nothing
        over."""
        self.lose_receipts()
        self.send()
        self.pass_time()
        self.assertEqual(len(self.delivered), 1)
        self.find_receipts()
        self.assertEqual(self.check().attempts, 2)
        self.pass_time(1)
        found = self.check()
        self.assertEqual((found.state, found.attempts), (ReceiptState.ACCEPTED, 2))
        self.assertEqual(len(self.delivered), 1)
        self.assertEqual(self.exit_of().counters[Name.RECEIPTS], 2)

    def test_given_up(self) -> None:
        """Silence everywhere, as often as it is tried; a late receipt is believed all the same."""
        self.lose_receipts()
        self.send()
        for attempt in range(ATTEMPTS):
            self.assertEqual(self.check().state, ReceiptState.WAITING)
            self.pass_time(attempt)
        found = self.check()
        self.assertEqual((found.state, found.attempts), (ReceiptState.SILENT, ATTEMPTS))
        self.assertEqual(len({each.message_id for each in self.delivered}), 1)
        self.pass_time(5)
        self.assertEqual(self.check(), found)

    def test_double_is_recognised(self) -> None:
        """Where two exits hand it over after all, both mails have one Message-ID's left side."""
        self.lose_receipts()
        self.send()
        for attempt in range(ATTEMPTS):
            self.pass_time(attempt)
            self.check()
        left = {each.message_id.partition("@")[0] for each in self.delivered}
        self.assertEqual((len(self.delivered), len(left)), (2, 1))

    def test_named_exit(self) -> None:
        """An address or path that names the server goes to no other."""
        self.silence()
        self.send(path="?,?,?,mix6")
        for attempt in range(3):
            self.pass_time(attempt)
            self.check()
        self.assertEqual(self.exit_of(0), self.exit_of())
        self.assertEqual(self.exit_of().nickname, "mix6")

    def test_exit_killed_before_its_receipt(self) -> None:
        """Killed after the hand-over, started again: once more with one Message-ID, or not; the
        receipt comes."""
        self.send()
        exit = self.exit_of()
        collect = exit.exit.deliver

        def die(given: Message) -> object:
            outcome = collect(given)
            if len(exit.exit.messages) == 1:
                exit.kill()
            return outcome

        self.patch(exit.exit, "deliver", die)
        self.network.clock.run_until(lambda: exit.server is None)
        exit.start()
        self.pass_time(1)
        self.assertEqual(self.check().state, ReceiptState.ACCEPTED)
        self.assertEqual(len({each.message_id for each in self.delivered}), 1)

    def test_not_out_of_the_outbox_yet(self) -> None:
        """What could not even be handed over is handed over, not sent again."""
        for mix in self.network.mixes:
            self.network.wire.drop(mix.host)
            mix.stop()
        with self.assertRaises(api.MixminionError):
            self.send()
        self.pass_time()
        self.do(self._check_quietly())
        for mix in self.network.mixes:
            mix.start()
        self.pass_time(1)
        self.check()
        self.pass_time(1)
        found = self.check()
        self.assertEqual((found.state, found.attempts), (ReceiptState.ACCEPTED, 1))
        self.assertEqual(len(self.delivered), 1)

    async def _check_quietly(self) -> None:
        await self.alice.receipts.tend()


class RunningTests(ReceiptCase):
    def test_it_runs(self) -> None:
        """A running client visits its mailbox and sends again, unasked: a silent exit costs time,
        and the message arrives once."""
        self.patch(receipts, "TEND", 30.0)
        self.patch(running, "FLUSH", 20.0)
        self.do(self.alice.close())
        config = self.network.folder / "alice" / "mixminion.conf"
        more = "[Schedule]\npoints = no\nvisit-every = 60 seconds\n"
        config.write_text(config.read_text() + more)
        self.alice = api.Client(
            self.network.clock,
            api.load_config(str(config)),
            random=self.network.random,
            executor=api.InlineExecutor(),
            dial=lambda place: self.network.wire.client(place.host, place.port),
        )
        self.alice.start_schedule()
        self.network.clock.advance(1)
        self.send()
        silent = self.exit_of()
        self.silence(lambda mix: mix is silent)
        self.network.clock.advance(3600)
        [found] = self.do(self.alice.receipts.all())
        self.assertEqual((found.state, found.attempts), (ReceiptState.ACCEPTED, 3))
        self.assertEqual([each.content for each in self.delivered], [b"hello"])


class KeepingTests(ReceiptCase):
    def test_withdrawn(self) -> None:
        """What was called back before it left is not sent again."""
        sent = self.send(hand_over=False)
        self.do(self.alice.cancel(sent.id))
        for attempt in range(3):
            self.pass_time(attempt)
            self.assertEqual(self.check().state, ReceiptState.WITHDRAWN)
        self.assertEqual(self.delivered, [])

    def test_queued(self) -> None:
        """Kept only, and flushed later."""
        self.send(hand_over=False)
        self.do(self.alice.flush())
        self.pass_time()
        self.assertEqual(self.check().state, ReceiptState.ACCEPTED)

    def test_forget(self) -> None:
        """Nobody waits any more, and nothing is sent."""
        self.silence()
        self.send()
        [found] = self.do(self.alice.receipts.all())
        self.assertEqual(self.do(self.alice.receipts.forget([found.number, 99])), 1)
        self.pass_time()
        self.assertEqual(self.do(self.alice.receipts.check()), [])

    def test_two_clients_at_once(self) -> None:
        """Two programs with one home: each attempt is made once."""
        self.silence()
        self.send()
        other = self.network.client("alice")
        self.addCleanup(lambda: self.do(other.close()))
        self.pass_time()
        pending = self.do(self._waiting())
        self.do(self.alice.receipts.tend())
        self.do(other.receipts._overdue(pending[0], lambda event: None))
        [found] = self.do(self.alice.receipts.all())
        self.assertEqual(found.attempts, 2)

    async def _waiting(self) -> list[receipt_rows.Pending]:
        return await self.alice._parts.database.run(receipt_rows.waiting)

    def test_killed_at_each_commit(self) -> None:
        """The client is killed at every commit of a send and of a resend: what was kept goes on,
        nothing is sent twice beyond the attempts that are known."""
        for stop in range(1, 9):
            client = self.network.client(f"client{stop}")
            count = 0
            run = client._parts.database.run

            def dying(query: Any, run: Any = run, stop: int = stop) -> Any:
                nonlocal count
                count += 1
                if count > stop:
                    raise ZeroDivisionError
                return run(query)

            self.patch(client._parts.database, "run", dying)
            with self.assertRaises(ZeroDivisionError):
                self.do(client.send(TO, b"%d" % stop, receipt=True))
            self.network.clock.advance(1)
            client._parts.database.__dict__.pop("run", None)
            again = self.network.client(f"client{stop}")
            for attempt in range(3):
                self.do(again.flush())
                self.pass_time(attempt)
                known = self.do(again.receipts.check())
            contents = [each.content for each in self.delivered]
            self.assertEqual(contents.count(b"%d" % stop), len(known))
            self.assertEqual({each.state for each in known} - {ReceiptState.ACCEPTED}, set())
            self.do(again.close())


class BelievingTests(ReceiptCase):
    def test_only_receipts_for_it(self) -> None:
        """Octets by one of its blocks that are none, or for another message, say nothing."""
        self.send()
        database = self.alice._parts.database
        self.pass_time()

        def forge(connection: sqlite3.Connection) -> None:
            [(surb_id,)] = connection.execute("SELECT surb_id FROM receipt_keys").fetchall()
            receipts._take(connection, surb_id, bytes(26_806))
            receipts._take(connection, b"x" * 16, bytes(26_806))

        async def run() -> None:
            await database.run(forge)

        self.do(run())
        [found] = self.do(self.alice.receipts.all())
        self.assertEqual(found.state, ReceiptState.WAITING)
