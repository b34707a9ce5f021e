"""What an answer on the wire promises."""

from pathlib import Path

from twisted.internet.defer import Deferred, fail
from zope.interface.verify import verifyObject

from mixminion.crypto.rng import SeededRandom
from mixminion.interfaces import IIntake, Refusal
from mixminion.mix.intake import Intake
from mixminion.store import InlineExecutor, Store, StoreClosed, StoreError, StoreFull
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock

PACKET = bytes(range(256)) * 128


class IntakeTests(SyncTestCase):
    """An intake over a real store."""

    def setUp(self) -> None:
        self.clock = HeapClock()
        self.taken: list[tuple[int, bytes]] = []
        self.store = Store.open(
            Path(self.mktemp()) / "store",
            map_size=16 * 2**20,
            in_thread=InlineExecutor(self.clock),
            random=SeededRandom(b"intake"),
            free_reserve=0,
        )
        self.addCleanup(lambda: self.clock.result_of(self.store.close()))
        self.intake = Intake(
            self.store, len(PACKET), lambda n, packet: self.taken.append((n, packet))
        )

    def test_it_is_an_intake(self) -> None:
        """As MMTP wants one."""
        verifyObject(IIntake, self.intake)

    def test_a_packet_is_on_disk_before_it_is_answered_or_looked_at(self) -> None:
        """Padding waits for the same commit."""
        answers = [self.intake.receive(PACKET), self.intake.padding()]
        for answer in answers:
            self.assertNoResult(answer)
        self.assertEqual(self.taken, [])
        self.clock.advance(0)
        self.assertEqual([self.successResultOf(answer) for answer in answers], [None, None])
        [(number, packet)] = self.taken
        self.assertEqual(packet, PACKET)
        self.assertEqual(self.clock.result_of(self.store.read_incoming([number])), [PACKET])

    def test_a_full_store_refuses_packets_and_padding_alike(self) -> None:
        """From the same frame on."""
        refusals = []
        for _ in range(500):
            packet, padding = self.intake.receive(PACKET), self.intake.padding()
            refusals.append((self.clock.result_of(packet), self.clock.result_of(padding)))
        first = refusals.index((Refusal.FULL, Refusal.FULL))
        self.assertEqual(len(self.taken), sum(packet is None for packet, _ in refusals))
        self.assertEqual({pair[0] for pair in refusals[:first]}, {None})
        self.assertTrue(100 < first < 500, first)

    def test_a_store_that_fails_refuses(self) -> None:
        """The sender keeps the packet; a defect of ours is not hidden."""
        for error in (StoreError(problem="no"), StoreFull(), StoreClosed()):
            intake = Intake(_Failing(error), 1, lambda n, packet: None)  # type: ignore[arg-type]
            for answer in (intake.receive(PACKET), intake.padding()):
                self.assertEqual(self.successResultOf(answer), Refusal.FULL)
        intake = Intake(_Failing(ZeroDivisionError()), 1, lambda n, p: None)  # type: ignore[arg-type]
        self.failureResultOf(intake.receive(PACKET), ZeroDivisionError)

    def test_once_stopped_it_refuses_everything(self) -> None:
        """What it took in before is still answered and handed on."""
        before = self.intake.receive(PACKET)
        self.intake.stop()
        for answer in (self.intake.receive(PACKET), self.intake.padding()):
            self.assertEqual(self.successResultOf(answer), Refusal.STOPPING)
        self.assertIsNone(self.clock.result_of(before))
        self.assertEqual(len(self.taken), 1)


class _Failing:
    """A store that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def take_in(self, packet: bytes) -> Deferred[int]:
        return fail(self._error)

    def barrier(self, octets: int) -> Deferred[None]:
        return fail(self._error)
