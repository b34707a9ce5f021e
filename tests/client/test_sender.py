"""Sending on a virtual clock: retries, cut links, key periods that pass, grace that ends."""

from twisted.internet.defer import Deferred

from mixminion import api
from mixminion.client.entries import RETRY_AFTER
from mixminion.interfaces import Refusal
from tests.client.network import DAY, VirtualCase

WEEK = 7 * DAY
PATH = "mix1, *2, mix5"


class SenderTests(VirtualCase):
    def setUp(self):
        super().setUp()
        self.mix1 = self.network.mix("mix1")

    def send(self, **options):
        return Deferred.fromCoroutine(self.client.send("drop", b"x", path=PATH, **options))

    def waiting(self):
        return self.ask(self.client.waiting())

    def fail_to_send(self):
        return self.failureResultOf(self.settled(self.send()), api.NotHandedOver).value

    def settled(self, deferred: Deferred[api.Sent]) -> Deferred[api.Sent]:
        self.clock.run_until(lambda: deferred.called, at_most=3600)
        return deferred

    def test_retry(self):
        """A server that has no room for a moment gets the packet a moment later."""
        self.mix1.intake.refusal = Refusal.RATE
        sending = self.send()
        self.clock.advance(RETRY_AFTER[0] / 2)
        self.mix1.intake.refusal = None
        self.clock.advance(RETRY_AFTER[0])
        self.successResultOf(sending)

    def test_gives_up(self):
        """A server that stays full: after a few seconds the sender is told."""
        self.mix1.intake.refusal = Refusal.FULL
        began = self.clock.seconds()
        self.fail_to_send()
        self.assertEqual(round(self.clock.seconds() - began), sum(RETRY_AFTER))

    def test_given_back_is_given_back(self):
        """Packets of which the sender was told that they are kept do not leave behind his back."""
        self.mix1.intake.refusal = Refusal.FULL
        sending = [self.send() for _ in range(3)]
        for each in sending:
            self.failureResultOf(self.settled(each), api.NotHandedOver)
        self.mix1.intake.refusal = None
        self.clock.advance(600)
        self.assertEqual((len(self.network.arrived), len(self.waiting())), (0, 3))

    def test_cut(self):
        """A link that breaks before the answer: the same packet again over a new one."""
        self.mix1.intake.silent = True
        sending = self.send()
        self.clock.advance(0.5)
        self.assertEqual(len(self.mix1.intake.packets), 1)
        self.wire.drop(self.mix1.host)
        self.mix1.intake.silent = False
        self.successResultOf(self.settled(sending))
        first, second = self.mix1.intake.packets
        self.assertEqual(first, second)

    def test_silence(self):
        """A server that never answers: the sender is told, and the packet is kept as handed."""
        self.mix1.intake.silent = True
        self.assertEqual(self.fail_to_send().fields["why"], "stalled")
        (waiting,) = self.waiting()
        self.assertTrue(waiting.handed)

    def test_new_packet_misses_its_period(self):
        """Kept over the end of a key period, and never handed over: built again."""
        self.wire.part(["127.0.0.1"], [self.mix1.host])
        self.fail_to_send()
        self.wire.heal()
        self.clock.advance(3 * DAY)
        self.network.sign()
        (waiting,) = self.waiting()
        self.assertEqual((waiting.handed, waiting.period), (False, 2999))
        self.assertEqual(self.ask(self.client.flush()).handed, (waiting.id,))
        (packet,) = self.network.arrived
        path, _, message = self.network.open(packet, period=3000)
        self.assertEqual((path[0], path[-1], message), ("mix1", "mix5", ("drop", (), b"x")))

    def test_handed_packet_is_resent_as_it_is(self):
        """Kept over the end of a key period after it was handed over: the same octets."""
        self.mix1.intake.silent = True
        self.fail_to_send()
        packets = set(self.mix1.intake.packets)
        self.clock.advance(2.5 * DAY)
        self.mix1.intake.silent = False
        self.ask(self.client.flush())
        self.assertEqual(set(self.mix1.intake.packets), packets)
        self.assertEqual(len(packets), 1)
        self.assertEqual(self.waiting(), [])

    def test_too_late(self):
        """Handed over once and kept until its keys are gone: not sent, and cleaned away."""
        self.mix1.intake.silent = True
        self.fail_to_send()
        (waiting,) = self.waiting()
        self.clock.advance(2 * WEEK)
        self.network.sign()
        self.ask(self.client.update())
        flushed = self.ask(self.client.flush())
        self.assertEqual(flushed.handed, ())
        self.assertEqual(flushed.kept[waiting.id].fields["why"], "its keys have gone")
        self.assertEqual(self.ask(self.client.expired()), [waiting])
        self.assertEqual(self.ask(self.client.discard([waiting.id])), 1)

    def test_entry_has_gone(self):
        """A new packet whose entry is not listed any more is built again for another."""
        self.ask(self.client.update())
        self.wire.part(["127.0.0.1"], [mix.host for mix in self.network.mixes])
        sending = Deferred.fromCoroutine(self.client.send("drop", b"x"))
        self.failureResultOf(self.settled(sending))
        (waiting,) = self.waiting()
        self.network.mixes = [m for m in self.network.mixes if m.identity != waiting.entry]
        self.wire.heal()
        self.clock.advance(60)
        self.network.sign()
        self.ask(self.client.update())
        self.assertEqual(self.ask(self.client.flush()).handed, (waiting.id,))
        self.assertEqual(len(self.network.arrived), 1)

    def test_another_program_run(self):
        """What one client kept, another one sends."""
        self.mix1.intake.refusal = Refusal.STOPPING
        self.fail_to_send()
        self.ask(self.client.close())
        self.mix1.intake.refusal = None
        self.client = self.make_client()
        self.assertEqual(len(self.ask(self.client.flush()).handed), 1)
        self.assertEqual(self.waiting(), [])
