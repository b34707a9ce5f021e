"""Queues and links of peers, with links that end in every moment."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from mixminion.counters import Counters
from mixminion.crypto.rng import SeededRandom
from mixminion.errors import PeerError
from mixminion.interfaces import Refusal
from mixminion.mix.cache import PacketCache
from mixminion.mix.outgoing import BACKOFF, SWEEP, Outgoing
from mixminion.mmtp.client import LinkUser
from mixminion.store import StoreClosed, StoreError
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock

PEER = b"p" * 32
OTHER = b"o" * 32
LENGTH = 8
EXPIRY = 3600.0
IDLE = 300.0


class Broken(PeerError):
    """Why a link ended."""


class FakeStore:
    """Records by id; answers at once, or when told."""

    def __init__(self) -> None:
        self.records: dict[int, bytes] = {}
        self.slow = False
        self.reads: list[tuple[Deferred[list[bytes | None]], list[int]]] = []
        self.read_error: Exception | None = None
        self.delete_error: Exception | None = None

    def read(self, ids: Sequence[int]) -> Deferred[list[bytes | None]]:
        if self.read_error is not None:
            return fail(self.read_error)
        reading: Deferred[list[bytes | None]] = Deferred()
        self.reads.append((reading, list(ids)))
        if not self.slow:
            self.finish()
        return reading

    def finish(self, n: int = 0, error: Exception | None = None) -> None:
        """End the nth read."""
        reading, ids = self.reads.pop(n)
        if error is None:
            reading.callback([self.records.get(each) for each in ids])
        else:
            reading.errback(error)

    def delete(self, ids: Iterable[int]) -> Deferred[None]:
        if self.delete_error is not None:
            return fail(self.delete_error)
        for each in ids:
            self.records.pop(each, None)
        return succeed(None)


class FakeLink:
    """A link to a peer whose answers the test gives."""

    negotiated = None

    def __init__(self, network: FakeNetwork, user: Any, window: int) -> None:
        self.network = network
        self.user = user
        self.window = window
        self.waiting: dict[int, bytes] = {}
        self.sent: list[int] = []
        self.breaks_at: int | None = None  # while this is sent the link is lost
        self.breaks_with: PeerError | None = Broken()
        self.closing = self.over = False
        self.closed: list[Deferred[None]] = []

    @property
    def room(self) -> int:
        return 0 if self.closing or self.over else self.window - len(self.waiting)

    def send(self, key: int, packet: bytes) -> None:
        if len(packet) != LENGTH:
            raise ValueError("a packet of another length")
        if self.room <= 0:
            raise RuntimeError("there is no room in the window")
        self.network.sending(key)
        self.waiting[key] = packet
        self.sent.append(key)
        if key == self.breaks_at:
            self.lose(self.breaks_with)

    def close(self) -> Deferred[None]:
        closed: Deferred[None] = Deferred()
        self.closed.append(closed)
        self.closing = True
        self._settle()
        return closed

    # what the peer does

    def receive(self, n: int | None = None) -> None:
        keys = list(self.waiting)[:n]
        for key in keys:
            del self.waiting[key]
        self.network.acknowledged += keys
        self.user.received(keys)
        self._settle()

    def refuse(self, refusal: Refusal) -> None:
        key = next(iter(self.waiting))
        del self.waiting[key]
        self.network.in_flight.discard(key)
        self.user.refused(key, refusal)
        self._settle()

    def lose(self, error: PeerError | None) -> None:
        if self.over:
            return
        self.over = True
        self.network.links.remove(self)
        keys = list(self.waiting)
        self.waiting.clear()
        self.network.in_flight.difference_update(keys)
        self.user.lost(keys, error)
        for closed in self.closed:
            closed.callback(None)

    def _settle(self) -> None:
        if self.closing and not self.waiting:
            self.lose(None)


class FakeNetwork:
    """Dials under way and links that are up; sees that nothing is sent twice at one time."""

    def __init__(self) -> None:
        self.dials: list[tuple[bytes, Any, Deferred[Any]]] = []
        self.links: list[FakeLink] = []
        self.in_flight: set[int] = set()
        self.acknowledged: list[int] = []
        self.dialled = 0
        self.window = 4
        self.error: Exception | None = None
        self.at_once = False

    def dial(self, identity: bytes, user: LinkUser) -> Deferred[Any]:
        self.dialled += 1
        if self.error is not None:
            raise self.error
        dialling: Deferred[Any] = Deferred()
        self.dials.append((identity, user, dialling))
        if self.at_once:
            self.accept()
        return dialling

    def accept(self, breaks_at: int | None = None) -> FakeLink:
        """The oldest dial succeeds."""
        _, user, dialling = self.dials.pop(0)
        link = FakeLink(self, user, self.window)
        link.breaks_at = breaks_at
        self.links.append(link)
        user.opened(link)
        dialling.callback(link)
        return link

    def refuse(self, error: Exception | None = None) -> None:
        """The oldest dial fails."""
        self.dials.pop(0)[2].errback(error or Broken())

    def sending(self, key: int) -> None:
        if key in self.in_flight or key in self.acknowledged:
            raise AssertionError(f"{key} is sent twice")
        self.in_flight.add(key)


class Kit(SyncTestCase):
    """Outgoing queues between a fake store and a fake network."""

    def setUp(self) -> None:
        self.clock = HeapClock()
        self.store = FakeStore()
        self.network = FakeNetwork()
        self.counters = Counters()
        self.cache = PacketCache(10 * LENGTH)
        self.outgoing = Outgoing(
            clock=self.clock,
            random=SeededRandom(b"outgoing"),
            counters=self.counters,
            store=self.store,
            cache=self.cache,
            dial=self.network.dial,
            expiry=EXPIRY,
            idle=IDLE,
        )

    def offer(self, *ids: int, peer: bytes = PEER, cached: bool = True) -> None:
        """The pool releases them."""
        for each in ids:
            self.store.records[each] = b"%08d" % each
            if cached:
                self.cache.put(each, self.store.records[each])
            self.outgoing.offer(each, peer, self.clock.seconds())

    def waited_for(self, happened: Callable[[], bool]) -> float:
        """Seconds until it has."""
        before = self.clock.seconds()
        self.clock.run_until(happened)
        return self.clock.seconds() - before

    def redialled(self) -> bool:
        """A dial is under way."""
        return bool(self.network.dials)


class SendingTests(Kit):
    """The ordinary ways."""

    def test_a_packet_is_kept_until_it_is_acknowledged(self) -> None:
        """Dialled for, sent, deleted, forgotten."""
        self.offer(1)
        link = self.network.accept()
        self.assertEqual(link.sent, [1])
        self.assertEqual(self.outgoing.waiting(), {PEER: 1})
        self.assertIn(1, self.store.records)
        link.receive()
        self.assertEqual((self.store.records, self.cache.get(1)), ({}, None))
        self.assertEqual((self.outgoing.waiting(), self.counters["sent"]), ({}, 1))
        self.assertEqual(list(self.outgoing.links()), [link])

    def test_what_the_cache_no_longer_has_is_read(self) -> None:
        """And sent over the same link."""
        self.offer(1, cached=False)
        self.offer(2)
        self.assertEqual(sorted(self.network.accept().sent), [1, 2])

    def test_reads_under_way_take_their_place_in_the_window(self) -> None:
        """Four frames fit: two are being read, so two more are sent."""
        self.store.slow = True
        self.offer(1, 2, cached=False)
        self.offer(3, 4, 5, 6)
        link = self.network.accept()
        self.assertEqual(link.sent, [3, 4])
        self.store.finish()
        self.assertEqual(link.sent, [3, 4, 1, 2])
        link.receive()
        self.assertEqual(link.sent[4:], [5, 6])

    def test_a_record_that_is_gone_is_forgotten(self) -> None:
        """Nothing waits for it."""
        self.offer(1, 2, cached=False)
        del self.store.records[1]
        self.assertEqual(self.network.accept().sent, [2])
        self.assertEqual(self.outgoing.waiting(), {PEER: 1})

    def test_a_record_of_another_packet_length_is_given_up(self) -> None:
        """It would stand before all others for ever."""
        self.offer(1, 2, cached=False)
        self.store.records[1] = b"short"
        self.assertEqual(self.network.accept().sent, [2])
        self.assertNotIn(1, self.store.records)
        self.assertEqual(self.counters["drop-length"], 1)

    def test_nothing_waits_behind_a_dead_peer(self) -> None:
        """Each has its own queue and its own dial."""
        self.offer(1)
        self.offer(2, peer=OTHER)
        self.network.refuse()
        self.assertEqual(self.network.accept().sent, [2])
        self.assertEqual(self.outgoing.waiting(), {PEER: 1, OTHER: 1})

    def test_an_idle_link_is_closed_and_dialled_again_when_needed(self) -> None:
        """Also when a packet comes while it closes."""
        self.offer(1)
        first = self.network.accept()
        first.receive()
        self.clock.advance(IDLE - 1)
        self.assertFalse(first.over)
        self.offer(2)
        self.clock.advance(2 * IDLE)
        self.assertFalse(first.closing, "it carries a packet")
        first.receive()
        self.clock.advance(IDLE)
        self.assertTrue(first.over)
        self.offer(3)
        self.assertEqual(self.network.accept().sent, [3])


class BackingOffTests(Kit):
    """Peers that cannot or will not."""

    def test_a_dead_peer_is_tried_after_longer_and_longer_pauses(self) -> None:
        """Between half a second and the longest pause."""
        self.offer(1)
        waits = []
        for _ in range(14):
            self.network.refuse()
            waits.append(self.waited_for(self.redialled))
        for number, wait in enumerate(waits):
            whole = min(BACKOFF.first * 2**number, BACKOFF.longest)
            self.assertTrue(whole / 2 <= wait <= whole, waits)

    def test_a_dial_that_raises_is_a_dial_that_failed(self) -> None:
        """It is logged, and tried again."""
        self.network.error = ZeroDivisionError()
        self.offer(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.network.error = None
        self.waited_for(self.redialled)

    def test_a_full_peer_is_left_alone_for_a_while(self) -> None:
        """Its link stays; a burst of refusals is one failure, and the next one the second."""
        self.offer(1, 2, 3, 4)
        link = self.network.accept()
        for whole in (1.0, 2.0, 4.0):
            for _ in range(4):
                link.refuse(Refusal.FULL)
            self.assertEqual(link.waiting, {})
            wait = self.waited_for(lambda: len(link.waiting) == 4)
            self.assertTrue(whole / 2 <= wait <= whole, wait)
        link.receive()
        self.offer(5)
        link.refuse(Refusal.FULL)
        self.assertTrue(self.waited_for(lambda: bool(link.waiting)) <= 1.0)
        self.assertEqual(self.network.dialled, 1)

    def test_a_stopping_peer_is_hung_up_on(self) -> None:
        """What it still answers counts; the rest goes over the next link."""
        self.offer(1, 2, 3)
        link = self.network.accept()
        link.refuse(Refusal.STOPPING)
        self.assertTrue(link.closing)
        link.receive(1)
        link.refuse(Refusal.STOPPING)
        self.assertTrue(link.over)
        self.waited_for(self.redialled)
        self.assertEqual(sorted(self.network.accept().sent), [1, 3])

    def test_a_broken_link_is_dialled_again_after_a_pause(self) -> None:
        """Its unacknowledged packets go first."""
        self.offer(1, 2, 3, 4, 5)
        link = self.network.accept()
        link.receive(1)
        link.lose(Broken())
        self.assertFalse(self.redialled())
        self.waited_for(self.redialled)
        self.assertEqual(sorted(self.network.accept().sent), [2, 3, 4, 5])

    def test_a_session_that_was_over_is_followed_by_the_next_at_once(self) -> None:
        """No pause after an ordinary end of a link that has carried something."""
        self.offer(1, 2)
        link = self.network.accept()
        link.receive(1)
        link.lose(None)
        self.assertEqual(self.waited_for(self.redialled), 0)

    def test_a_peer_that_accepts_links_and_no_packets_is_not_dialled_for_ever(self) -> None:
        """Whether it breaks them or closes them in an orderly way: each pause is longer."""
        self.offer(1)
        waits = []
        for number in range(8):
            self.network.accept().lose(Broken() if number % 2 else None)
            waits.append(self.waited_for(self.redialled))
        self.assertTrue(waits[7] > 60 > 1 >= waits[0] >= 0.5, waits)
        link = self.network.accept()
        link.receive()
        self.offer(2)
        link.lose(Broken())
        self.assertTrue(self.waited_for(self.redialled) <= 1.0)

    def test_packets_expire(self) -> None:
        """Counted and deleted, but for one in flight, which may yet arrive."""
        self.offer(1, 2, 3, 4, 5)
        link = self.network.accept()
        self.clock.advance(EXPIRY + SWEEP)
        self.assertEqual(self.counters["expired"], 1)
        self.assertEqual(sorted(self.store.records), [1, 2, 3, 4])
        link.lose(Broken())
        self.clock.advance(SWEEP)
        self.assertEqual((self.counters["expired"], self.store.records), (5, {}))

    def test_a_peer_without_packets_is_forgotten(self) -> None:
        """Servers come and go for years."""
        self.offer(1)
        link = self.network.accept()
        link.receive()
        self.clock.advance(SWEEP)
        self.assertEqual(list(self.outgoing._peers), [PEER])
        self.clock.advance(IDLE + SWEEP)
        self.assertEqual(list(self.outgoing._peers), [])


class EndingTests(Kit):
    """Links that end while something is under way."""

    def test_a_link_that_ends_while_it_is_written_to(self) -> None:
        """What it was given and what it was not both go over the next."""
        self.offer(1, 2, 3, 4)
        self.network.accept(breaks_at=2)
        self.waited_for(self.redialled)
        link = self.network.accept()
        self.assertEqual(sorted(link.sent), [1, 2, 3, 4])
        link.receive()
        self.assertEqual(self.store.records, {})

    def test_a_session_that_ends_while_it_is_written_to(self) -> None:
        """In an orderly way, after it has carried something: the next follows at once."""
        self.offer(1)
        link = self.network.accept()
        link.receive()
        link.breaks_at, link.breaks_with = 2, None
        self.offer(2)
        self.assertEqual(self.waited_for(self.redialled), 0)
        self.assertEqual(self.network.accept().sent, [2])

    def test_a_link_that_ends_while_packets_are_read(self) -> None:
        """They go over the next link, once, whether the read ends before or after its start."""
        for before in (True, False):
            self.setUp()
            self.store.slow = True
            self.offer(1, 2, cached=False)
            self.network.accept().lose(Broken())
            if before:
                self.store.finish()
            self.offer(3)
            self.waited_for(self.redialled)
            link = self.network.accept()
            self.store.slow = False
            while self.store.reads:
                self.store.finish()
            self.assertEqual(sorted(link.sent), [1, 2, 3])

    def test_a_store_that_cannot_read_for_now(self) -> None:
        """They wait, and are read again."""
        self.store.read_error = StoreError(problem="no")
        self.offer(1, cached=False)
        link = self.network.accept()
        self.assertEqual(link.sent, [])
        self.store.read_error = None
        self.waited_for(lambda: link.sent == [1])

    def test_a_defect_of_ours_stops_nothing_for_ever(self) -> None:
        """In the queue, the clock's call or the link, whether cached or read: it is logged, and
        what was not sent is sent later."""
        for cached in (True, False):
            for place in ("take", "next_ready", "send"):
                self.setUp()
                self.offer(1)
                link = self.network.accept()
                link.receive()
                self.offer(2, cached=cached)
                broken = link if place == "send" else self.outgoing._peers[PEER]._queue
                patch = self.patch(broken, place, self.broken)
                self.offer(3, 4, cached=cached)
                self.assertEqual(link.sent, [1, 2, 3, 4] if place == "next_ready" else [1, 2])
                patch.restore()
                self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))
                self.clock.advance(SWEEP)
                self.assertEqual(sorted(link.sent), [1, 2, 3, 4])
                link.receive()
                self.assertEqual(self.outgoing.waiting(), {})

    @staticmethod
    def broken(*what: object) -> None:
        raise ZeroDivisionError

    def test_what_could_not_be_deleted_is_deleted_later(self) -> None:
        """It is not sent again meanwhile."""
        self.offer(1)
        self.store.delete_error = StoreError(problem="no")
        self.network.accept().receive()
        self.assertIn(1, self.store.records)
        self.store.delete_error = None
        self.clock.advance(SWEEP)
        self.assertEqual(self.store.records, {})
        self.assertEqual(self.outgoing.waiting(), {})

    def test_a_stop_closes_links_and_waits_for_their_answers(self) -> None:
        """What is acknowledged until then is deleted, the rest stays stored."""
        self.offer(1, 2, 3)
        link = self.network.accept()
        stopped = self.outgoing.stop()
        self.offer(4)
        self.assertNoResult(stopped)
        link.receive(2)
        self.assertNoResult(stopped)
        link.lose(Broken())
        self.successResultOf(stopped)
        self.assertEqual(sorted(self.store.records), [3, 4])
        self.assertEqual((self.clock.getDelayedCalls(), self.network.dialled), ([], 1))

    def test_a_stop_gives_dials_up(self) -> None:
        """And leaves no timer."""
        self.offer(1)
        self.offer(2, peer=OTHER)
        self.network.dials.pop()
        self.network.refuse()
        self.offer(3, peer=b"t" * 32)
        [(_, _, dialling)] = self.network.dials
        self.successResultOf(self.outgoing.stop())
        self.assertTrue(dialling.called)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_store_that_is_closed_says_nothing_at_the_end(self) -> None:
        """An answer after the last step of a stop."""
        self.offer(1)
        link = self.network.accept()
        _ = self.outgoing.stop()
        self.store.delete_error = StoreClosed()
        link.receive()
        self.assertTrue(link.over)


class InterleavingTests(Kit):
    """Everything that can happen, in any order."""

    def test_nothing_is_lost_and_nothing_sent_twice_at_one_time(self) -> None:
        """300 runs of 120 random events; then the peer behaves, and all arrive once."""
        for seed in range(300):
            self.setUp()
            self._play(random.Random(seed))

    def _play(self, dice: random.Random) -> None:
        self.store.slow = True
        self.network.at_once = dice.random() < 0.3
        for number in range(120):
            self._event(dice, number)
            timers = len(self.clock.getDelayedCalls())
            self.assertTrue(timers <= 2, "the sweep's and the peer's")
        self.store.slow = False
        while self.store.reads:
            self.store.finish()
        self.network.at_once = True
        for _ in range(2000):
            while self.network.dials:
                self.network.accept()
            for link in list(self.network.links):
                link.breaks_at = None
                link.receive()
            if not self.outgoing.waiting():
                break
            self.clock.advance(1)
        self.assertEqual((self.outgoing.waiting(), self.store.records), ({}, {}))
        acknowledged = self.network.acknowledged
        self.assertEqual(len(set(acknowledged)), len(acknowledged))
        self.assertEqual(self.counters["sent"], len(acknowledged))
        stopped = self.outgoing.stop()
        for link in list(self.network.links):
            link.lose(None)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def _event(self, dice: random.Random, number: int) -> None:
        network = self.network
        link = dice.choice(network.links) if network.links else None
        event = dice.randrange(10)
        if event < 3:
            self.offer(number, cached=dice.random() < 0.5)
        elif event == 3:
            self.clock.advance(dice.expovariate(1))
        elif event == 4 and self.store.reads:
            error = StoreError(problem="no") if dice.random() < 0.3 else None
            self.store.finish(dice.randrange(len(self.store.reads)), error)
        elif event == 5 and network.dials:
            if dice.random() < 0.8:
                accepted = network.accept(breaks_at=dice.randrange(number + 1))
                accepted.breaks_with = dice.choice([None, Broken()])
            else:
                network.refuse(CancelledError() if dice.random() < 0.1 else None)
        elif link is not None and link.waiting and event in (6, 7):
            link.receive(dice.randrange(1, 4))
        elif link is not None and link.waiting and event == 8:
            link.refuse(dice.choice([Refusal.FULL, Refusal.STOPPING, Refusal.RATE]))
        elif link is not None and event == 9:
            link.lose(dice.choice([None, Broken()]))
