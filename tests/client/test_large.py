"""Large messages on a virtual clock: cut up, kept, built and handed over; interrupted anywhere."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from mixminion import api
from mixminion.client import entries, splitting
from mixminion.client.database import Database
from mixminion.client.errors import MessageTooLarge, PartlyHandedOver
from mixminion.crypto.rng import SeededRandom
from mixminion.interfaces import Refusal
from mixminion.payload import deflate, erasure, fragments, message
from mixminion.payload.fragments import Coding
from mixminion.testing.cases import SyncTestCase
from tests.client.network import DAY, VirtualCase

WEEK = 7 * DAY
CONTENT = SeededRandom(b"content").octets(100_000)


def join(found) -> bytes:
    """The coded message of fragments, or an error where too few are there."""
    (whole,) = {each.whole for each in found}
    made = b""
    for block in range(whole.blocks):
        k = whole.data(block)
        pieces = {each.index: each.octets for each in found if each.block == block}
        pieces |= erasure.recover(k, pieces)
        made += b"".join(pieces[n] for n in range(k))[: whole.length(block)]
    return made


class SplittingTests(SyncTestCase):
    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 60_000), st.booleans(), st.integers(256, 2000), st.integers(1, 3))
    def test_round_trip(self, size, noise, piece, copies):
        """Blocks and fragments of a message are the message; compressed where that is less."""
        random = SeededRandom(b"%d" % size)
        content = random.octets(size) if noise else b"".join(b"%d," % n for n in range(size // 6))
        split = splitting.split("drop", ["x"], [content[:9], content[9:]], piece, copies, random)
        blocks = list(split.blocks())
        self.assertEqual(len(blocks), split.whole.blocks)
        found = [
            part
            for number, octets in enumerate(blocks)
            for part in splitting.fragments_of(split.whole, number, octets, copies)
        ]
        self.assertEqual(len(found), split.packets)
        coded = join(found)
        if split.whole.coding is Coding.DEFLATED:
            self.assertFalse(noise)
            coded = b"".join(deflate.inflate([coded], len(coded), 10**6))
        self.assertEqual(message.parse(coded), ("drop", ("x",), content))

    def test_where_it_saves_a_packet(self):
        """Text is compressed when it takes fewer packets, and only then; noise never is."""
        text = b"".join(b"%d bottles of beer\r\n" % n for n in range(5000))
        random = SeededRandom(b"x")
        for content, piece, coding in (
            (text, 26_742, Coding.DEFLATED),
            (text, 200_000, Coding.PLAIN),
            (CONTENT, 26_742, Coding.PLAIN),
            (bytes(100_000), 26_742, Coding.PLAIN),  # would look like a bomb
        ):
            split = splitting.split("drop", [], [content], piece, 1, random)
            self.assertEqual(split.whole.coding, coding)


class LargeCase(VirtualCase):
    def setUp(self):
        super().setUp()
        self.patch(entries, "RETRY_AFTER", (0.05,))
        self.told: list[api.Event] = []

    def send(self, content=CONTENT, **options):
        return self.ask(self.client.send("drop", content, progress=self.told.append, **options))

    def arrived(self, period=None):
        """The paths and fragments of all packets that arrived, each packet once."""
        packets = dict.fromkeys(self.network.arrived)
        return [self.network.open(packet, period)[::2] for packet in packets]

    def check_arrived(self, content=CONTENT, period=None):
        """All fragments once, to one exit, and they are the message."""
        found = self.arrived(period)
        whole = found[0][1].whole
        numbers = sorted((part.block, part.index) for _, part in found)
        wanted = [
            (block, number)
            for block in range(whole.blocks)
            for number in fragments.numbers(whole.data(block))
        ]
        self.assertEqual(numbers, wanted)
        self.assertEqual(len({path[-1] for path, _ in found}), 1)
        joined = join([part for _, part in found])
        self.assertEqual(message.parse(joined), ("drop", (), content))
        return found


class SendingTests(LargeCase):
    def test_arrives(self):
        """100 kB in 7 packets, over paths of their own; nothing is left."""
        sent = self.send()
        found = self.check_arrived()
        self.assertEqual((sent.packets, len(found)), (7, 7))
        self.assertGreater(len({path for path, _ in ((tuple(p), x) for p, x in found)}), 1)
        self.assertEqual(self.ask(self.client.waiting()), [])
        self.assertEqual(self.ask(self.client.unbuilt()), [])
        kinds = [type(each).__name__ for each in self.told]
        wanted = ["Fetching", "PathChosen", "InFragments", "Kept", "HandedOver", "Sent"]
        self.assertEqual([kind for kind in kinds if kind in wanted], wanted)
        (told,) = [each for each in self.told if isinstance(each, api.InFragments)]
        self.assertEqual(told, api.InFragments(7, 4))

    def test_several_blocks(self):
        """More than the network's limit, asked for: two blocks, one after the other."""
        content = SeededRandom(b"two").octets(70 * 26_742)
        with self.assertRaises(MessageTooLarge):
            self.send(content)
        self.assertEqual(self.network.arrived, [])
        self.send(content, large=True)
        self.check_arrived(content)
        told = [each for each in self.told if isinstance(each, api.HandedOver)]
        self.assertEqual(told, [api.HandedOver(50, 99), api.HandedOver(99, 99)])

    def test_path(self):
        """A path that is asked for holds for every packet; its random exit is one for all."""
        self.send(path="mix1, *2, ?")
        found = self.check_arrived()
        self.assertEqual({(path[0], len(path)) for path, _ in found}, {("mix1", 4)})

    def test_copies(self):
        """Copies of a small message are fragments, each of which is enough."""
        sent = self.send(b"hello", copies=2)
        found = self.arrived()
        self.assertEqual((sent.packets, len(found)), (6, 6))
        for _, part in found:
            self.assertEqual(message.parse(join([part])), ("drop", (), b"hello"))
        self.assertEqual(len({path[-1] for path, _ in found}), 1)

    def test_exit_without_fragments(self):
        """Only servers that say that they take fragments are given any."""
        with self.assertRaises(api.MixminionError) as caught:
            self.ask(self.client.send("alice@example.org", b"x", copies=2))
        self.assertEqual(caught.exception.code, "no-fragments")


class InterruptedTests(LargeCase):
    def test_refused(self):
        """An entry that is full: its packets are kept, the others leave, a flush sends the rest."""
        standing = self.ask(self.client.entries.standing(self.ask(self.client.view())))
        full = self.network.mix(standing[0][0].nickname)
        full.intake.refusal = Refusal.FULL
        with self.assertRaises(PartlyHandedOver) as caught:
            for _ in range(20):  # until a path begins there
                self.send()
        kept = self.ask(self.client.waiting())
        self.assertEqual(caught.exception.fields["kept"], len(kept))
        self.assertEqual({each.part_of for each in kept}, {kept[0].part_of})
        full.intake.refusal = None
        flushed = self.ask(self.client.flush([kept[0].part_of]))
        self.assertEqual(flushed.kept, {})
        self.assertEqual(self.ask(self.client.waiting()), [])

    def test_killed_at_every_step(self):
        """Killed before or after any commit: once the message is kept, all of it leaves, each
        packet as one and the same."""
        steps, n = 0, 0
        while n <= steps:
            for after in (False, True):
                self.setUp()
                steps = self.killed_at(n, after)
            n += 1
        self.assertGreater(steps, 5)

    def killed_at(self, n, after):
        """Die at the database's *n*-th query; how many there were."""
        count = 0
        run = Database.run

        def dying(database, query):
            nonlocal count
            count += 1
            if count == n + 1:
                if after:
                    _ = run(database, query)
                return Deferred()
            return Deferred() if count > n else run(database, query)

        self.patch(Database, "run", dying)
        sending = Deferred.fromCoroutine(
            self.client.send("drop", CONTENT, progress=self.told.append)
        )
        self.clock.run_until(lambda: sending.called or count > n, at_most=60)
        self.clock.advance(0.1)
        self.patch(Database, "run", run)
        for mix in self.network.mixes:
            self.wire.drop(mix.host)
        promised = any(isinstance(each, api.Kept) for each in self.told)
        self.client = self.make_client()
        flushed = self.ask(self.client.flush())
        self.assertEqual(flushed.kept, {})
        if promised or self.network.arrived:
            self.check_arrived()
        self.assertEqual(self.ask(self.client.waiting()), [])
        self.assertEqual(self.ask(self.client.unbuilt()), [])
        return count

    def test_built_again(self):
        """Kept over the end of a key period: fragments are built again, for the same exit."""
        self.ask(self.client.update())
        self.wire.part(["127.0.0.1"], [mix.host for mix in self.network.mixes])
        with self.assertRaises(PartlyHandedOver):
            self.send()
        self.wire.heal()
        self.clock.advance(3 * DAY)
        self.network.sign()
        self.assertEqual(len(self.ask(self.client.flush()).handed), 7)
        self.check_arrived(period=3000)

    def test_discarded(self):
        """A message in fragments is deleted by its number, whatever of it is kept."""
        self.ask(self.client.update())
        self.wire.part(["127.0.0.1"], [mix.host for mix in self.network.mixes])
        with self.assertRaises(PartlyHandedOver):
            self.send()
        (number,) = {each.part_of for each in self.ask(self.client.waiting())}
        self.assertEqual(self.ask(self.client.discard([number])), 7)
        self.assertEqual(self.ask(self.client.waiting()), [])
        self.ask(self.client.close())
        octets = b"".join(file.read_bytes() for file in self.folder.rglob("client.sqlite*"))
        self.assertNotIn(CONTENT[1000:1100], octets)
