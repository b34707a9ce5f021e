"""The descriptors that votes name."""

from __future__ import annotations

from collections.abc import Callable

from mixminion.authority import holdings
from mixminion.authority.contacts import Contacts
from mixminion.authority.holdings import Holdings, Search
from mixminion.authority.peers import Answer, NoAnswer
from mixminion.authority.tasks import Tasks
from mixminion.crypto import kdf
from mixminion.crypto.rng import SeededRandom
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.authority.votes import INSTANT, authority
from tests.authority.world import Register, World, digest_of
from tests.directory.network import NOW, published

ALICE, BOB, CAROL = (published(name, i) for i, name in enumerate(("alice", "bob", "carol"), 1))
OLD = published("dave", 4, valid_until=NOW + 60)
Serve = Callable[[bytes], bytes | None]


class Shelves:
    """Peers that serve what *serve* says of a digest; a request takes a second."""

    def __init__(self, tasks: Tasks, serve: dict[bytes, Serve]) -> None:
        self.asked: list[bytes] = []
        self._tasks = tasks
        self._serve = serve

    async def get(self, peer: bytes, name: str, limit: int, seconds: float) -> Answer:
        self.asked.append(peer)
        await self._tasks.pause(1)
        digest = bytes.fromhex(name.removeprefix("descriptors/"))
        octets = self._serve[peer](digest)
        if octets is None:
            raise NoAnswer(peer="x", why="nothing there")
        return Answer(octets)

    async def post(self, peer: bytes, name: str, octets: bytes, seconds: float) -> Answer:
        raise NotImplementedError


class SearchTests(SyncTestCase):
    """Two others who say that they have everything."""

    def setUp(self) -> None:
        self.clock = HeapClock(NOW)
        self.tasks = Tasks(self.clock)
        self.register = Register([ALICE])
        self.holdings = Holdings(self.register)
        self.one, self.other = authority(1), authority(2)
        self.found: list[float] = []
        self.problems: list[str] = []

    def search(self, *octets: bytes, **serve: Serve) -> Search:
        self.shelves = Shelves(
            self.tasks, {getattr(self, name): each for name, each in serve.items()}
        )
        search = Search(
            clock=self.clock,
            random=SeededRandom(b""),
            tasks=self.tasks,
            contacts=Contacts(
                clock=self.clock,
                random=SeededRandom(b""),
                peers=self.shelves,
                tasks=self.tasks,
                others=[self.one, self.other],
            ),
            holdings=self.holdings,
            digests=[digest_of(each) for each in octets],
            at=INSTANT,
            until=NOW + 300,
            pause=60.0,
            found=lambda: self.found.append(self.clock.seconds() - NOW),
            problem=self.problems.append,
        )
        search.start()
        search.ask([authority(number) for number in range(5)])
        return search

    def test_at_hand(self) -> None:
        """What is there is found at once, and nobody is asked."""
        self.search(ALICE)
        self.assertEqual(self.found, [0])
        self.assertEqual(self.shelves.asked, [])
        self.assertEqual(self.holdings.descriptor(digest_of(ALICE)), ALICE)

    def test_fetched(self) -> None:
        """One who has nothing, or gives something else, keeps nobody from the other."""
        good = Register([BOB, CAROL]).get
        for bad in (lambda digest: None, lambda digest: ALICE, lambda digest: b"?"):
            self.setUp()
            self.search(ALICE, BOB, CAROL, one=bad, other=good)
            self.clock.advance(3)
            self.assertEqual(len(self.found), 1)
            self.assertEqual(self.register.get(digest_of(BOB)), BOB)
            self.clock.advance(400)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_valid(self) -> None:
        """One that is not valid at the instant is none, and is told of."""
        search = self.search(OLD, one=Register([OLD]).get, other=Register([OLD]).get)
        self.clock.advance(400)
        self.assertEqual((self.found, search.over), ([], False))
        self.assertEqual({*self.problems}, {"a descriptor that it names cannot be listed then"})
        self.assertIsNone(self.holdings.descriptor(digest_of(OLD)))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_broken_promises(self) -> None:
        """Who has not what he signed for is asked for a few, and again later."""
        many = [published(f"server{number}", number) for number in range(1, 21)]
        self.search(*many, one=lambda digest: None, other=lambda digest: None)
        self.clock.advance(20)
        self.assertLessEqual(len(self.shelves.asked), 2 * (3 + holdings.ABREAST))
        self.assertEqual({*self.problems}, {"20 descriptors that it names cannot be had"})

    def test_too_long(self) -> None:
        """More than everybody could fetch is refused, at hand or not."""
        self.patch(holdings, "MOST_OCTETS", 2 * len(ALICE))
        self.register.put(BOB)
        self.register.put(CAROL)
        search = self.search(ALICE, BOB, CAROL)
        self.assertEqual((self.found, search.over), ([], True))
        self.assertEqual(self.problems, ["the descriptors that it names are too long together"])

    def test_dropped(self) -> None:
        """What was fetched in vain is forgotten."""
        search = self.search(BOB, CAROL, one=Register([BOB]).get, other=Register([BOB]).get)
        self.clock.advance(5)
        self.assertIsNotNone(self.holdings.descriptor(digest_of(BOB)))
        search.drop()
        self.assertIsNone(self.holdings.descriptor(digest_of(BOB)))
        self.clock.advance(400)
        self.assertEqual(self.found, [])

    def test_another_envelope(self) -> None:
        """One at hand whose certificate is over is as none; a good one takes its place."""
        world = World(1)
        self.register.held[digest_of(ALICE)] = world.expired("alice")
        self.search(ALICE, one=Register([ALICE]).get, other=lambda digest: None)
        self.clock.advance(3)
        self.assertEqual(len(self.found), 1)
        self.assertEqual(self.holdings.descriptor(digest_of(ALICE)), ALICE)

    def test_another_time(self) -> None:
        """What verified for one instant is judged anew for another."""
        self.assertIsNotNone(self.holdings.length(digest_of(ALICE), INSTANT))
        self.assertIsNone(self.holdings.length(digest_of(ALICE), NOW + 90 * 86_400))
        self.assertIsNone(self.holdings.length(kdf.sha256(b"nothing"), INSTANT))
        self.holdings.tidy([])
        self.assertIsNone(self.holdings.descriptor(digest_of(ALICE)))
