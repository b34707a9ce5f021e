"""Whole networks of real mixes on a virtual clock."""

from collections import Counter
from pathlib import Path

from mixminion.interfaces import Outcome, OutcomeKind, Refusal
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.virtual import VirtualNetwork


class NetworkTests(SyncTestCase):
    """Four mixes that carry messages, are stopped and cut off, and are replayed to."""

    def setUp(self) -> None:
        self.network = VirtualNetwork(Path(self.mktemp()))
        self.clock = self.network.clock
        self.addCleanup(self.network.stop)

    def _texts(self, number: int) -> list[bytes]:
        return [message.content for message in self.network.mixes[number].exit.messages]

    def test_messages_arrive_through_four_mixes(self) -> None:
        """Ten messages, each once, each through every mix."""
        self.network.start()
        texts = [b"message %d" % n for n in range(10)]
        path = self.network.mixes
        sender = self.network.send(path[0], [self.network.packet(path, text) for text in texts])
        self.assertEqual(len(sender.received_keys), 10)
        self.clock.run_until(lambda: len(self._texts(3)) == 10)
        self.assertEqual(Counter(self._texts(3)), Counter(texts))
        for mix in path[:3]:
            self.assertEqual(mix.counters["sent"], 10)

    def test_a_replay_is_dropped_and_counted_also_after_a_restart(self) -> None:
        """The answer on the wire is the same; the mail comes once."""
        self.network.start()
        path = self.network.mixes
        packet = self.network.packet(path, b"once")
        for restart in (False, True):
            if restart:
                path[0].stop()
                path[0].start()
            sender = self.network.send(path[0], [packet, packet])
            self.assertEqual(sender.received_keys, [0, 1])
            self.clock.advance(60)
        self.assertEqual(path[0].counters["replayed"], 3)
        self.assertEqual(self._texts(3), [b"once"])

    def test_nothing_waits_behind_a_dead_peer(self) -> None:
        """One next hop is down: what is for others goes on, the rest when it is back."""
        self.network.start()
        first, dead, other, last = self.network.mixes
        dead.stop()
        packets = [
            self.network.packet([first, middle, last], text)
            for middle, text in ((dead, b"late"), (other, b"soon"))
        ]
        self.network.send(first, packets)
        self.clock.advance(120)
        self.assertEqual(self._texts(3), [b"soon"])
        dead.start()
        self.clock.advance(1800)
        self.assertEqual(self._texts(3), [b"soon", b"late"])

    def test_what_was_accepted_survives_stops_and_cut_links(self) -> None:
        """Every mix is stopped and started with packets in its pool, links are cut."""
        self.network.start()
        path = self.network.mixes
        texts = [b"message %d" % n for n in range(40)]
        self.network.send(path[0], [self.network.packet(path, text, 3000) for text in texts])
        for mix in path:
            self.clock.advance(1.5)
            self.network.wire.drop()
            mix.stop()
            self.clock.advance(30)
            mix.start()
        self.clock.advance(3600)
        self.assertEqual(Counter(self._texts(3)), Counter(texts))

    def test_overdue_packets_are_not_flushed_at_a_start(self) -> None:
        """After a long stop each gets a fresh delay."""
        self.network.start()
        first = self.network.mixes[0]
        packets = [self.network.packet([first], b"%d" % n, 4000) for n in range(40)]
        self.network.send(first, packets)
        first.stop()
        self.clock.advance(3600)
        first.start()
        self.assertEqual(len(self._texts(0)), 0)
        self.clock.advance(0.25)
        self.assertTrue(5 < len(self._texts(0)) < 35, len(self._texts(0)))
        self.clock.advance(6)
        self.assertEqual(len(self._texts(0)), 40)

    def test_a_delay_beyond_the_cap_is_dropped(self) -> None:
        """The cap of the local network is five seconds."""
        self.network.start()
        first = self.network.mixes[0]
        self.network.send(first, [self.network.packet([first], b"slow", 5001)])
        self.clock.advance(60)
        self.assertEqual(first.counters["drop-delay"], 1)
        self.assertEqual(self._texts(0), [])

    def test_a_packet_for_an_unknown_server_is_dropped(self) -> None:
        """It would only fill the disk."""
        self.network.start()
        first = self.network.mixes[0]
        packet = self.network.packet([first, self.network.mixes[1]], b"text")
        assert first.server is not None
        first.server.adopt(VirtualNetwork(Path(self.mktemp()), 1).view)
        self.network.send(first, [packet])
        self.clock.advance(10)
        self.assertEqual(first.counters["drop-unknown-next"], 1)

    def test_junk_is_answered_like_any_packet_and_counted(self) -> None:
        """A sender learns nothing from the answer."""
        self.network.start()
        first = self.network.mixes[0]
        good = self.network.packet([first], b"good")
        bad = good[:100] + bytes([good[100] ^ 1]) + good[101:]
        sender = self.network.send(first, [bad, good, bytes(len(good))])
        self.assertEqual(sender.received_keys, [0, 1, 2])
        self.clock.advance(10)
        self.assertEqual(self._texts(0), [b"good"])
        self.assertEqual(first.counters["drop-mac"] + first.counters["drop-version"], 2)

    def test_an_exit_that_fails_for_now_is_tried_again_with_the_same_message_id(self) -> None:
        """Message-ID and Date are made once."""
        self.network.start()
        first = self.network.mixes[0]
        first.exit.outcome = Outcome(OutcomeKind.TEMPORARY, "busy")
        self.network.send(first, [self.network.packet([first], b"text")])
        self.clock.advance(100)
        self.assertEqual(self._texts(0), [])
        self.assertTrue(first.counters["retried"])
        first.exit.outcome = Outcome(OutcomeKind.DELIVERED, "ok")
        self.clock.advance(3600)
        self.assertEqual(self._texts(0), [b"text"])

    def test_a_stopping_mix_refuses_new_frames_and_keeps_accepted_ones(self) -> None:
        """The intake says so itself, whoever asks it after its sessions."""
        self.network.start()
        first = self.network.mixes[0]
        assert first.server is not None
        first.server.intake.stop()
        sender = self.network.send(first, [self.network.packet([first], b"text")])
        self.assertEqual(sender.refusals, {0: Refusal.STOPPING})

    def test_keys_that_ended_are_erased_and_their_tags_go(self) -> None:
        """A key period and its grace later."""
        first = self.network.mixes[0]
        first.start()
        period = self.network.view.current_period(self.clock.seconds())
        self.network.send(first, [self.network.packet([first], b"text")])
        self.clock.advance(60)
        self.assertTrue(first.keys.path(period).exists())
        parameters = self.network.parameters
        self.clock.advance(parameters.key_period + parameters.key_grace + 600)
        self.assertFalse(first.keys.path(period).exists())
        assert first.server is not None
        held = self.clock.result_of(first.server.store.waiting())
        self.assertNotIn(period, held.tag_keys)
