from mixminion.client.packets import Letter, accepted, make
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.parameters import Parameters
from mixminion.directory.parts import Exit
from mixminion.paths.errors import TooManyRecipients
from mixminion.payload import message
from mixminion.payload.errors import TooLarge
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from mixminion.testing.directory import sign_directory
from tests.client.network import DAY, GEOMETRY, Network

WEEK = 7 * DAY
NOW = 3000 * WEEK + DAY


class PacketsTests(SyncTestCase):
    """From a letter to a packet, without a wire."""

    def setUp(self):
        self.network = Network(HeapClock(start=NOW), lambda host, factory: 48099)
        self.random = SeededRandom(b"packets")
        self.view = self.directory(Parameters())

    def directory(self, parameters):
        published = [mix.published(NOW, parameters) for mix in self.network.mixes]
        authorities = [private for private, _ in self.network.authorities]
        return sign_directory(published, authorities, now=NOW, parameters=parameters).view()

    def make(self, letter):
        built = make(self.view, letter, NOW, self.random)
        entry = next(m for m in self.network.mixes if m.identity == built.packet.entry)
        entry.intake.packets = [built.packet.octets]
        return built, *self.network.open(built.packet.octets)

    def test_delays(self):
        """Drawn for each hop from the truncated exponential distribution: never at the cap,
        four minutes on average, no two alike."""
        delays = [
            delay for _ in range(100) for delay in self.make(Letter("drop", (), (b"",), ""))[2]
        ]
        self.assertEqual(len(delays), 400)
        self.assertLess(max(delays), 2400)
        self.assertTrue(190 < sum(delays) / 400 < 290, sum(delays) / 400)
        self.assertGreater(len(set(delays)), 390)

    def test_limit(self):
        """The largest message fits to the octet; one octet more is refused with both sizes."""
        limit = message.capacity(GEOMETRY, "drop", ())
        content = self.make(Letter("drop", (), (bytes(limit),), ""))[3][2]
        self.assertEqual(content, bytes(limit))
        noise = SeededRandom(b"noise").octets(limit + 1)
        error = self.assertRaises(TooLarge, self.make, Letter("drop", (), (noise,), ""))
        self.assertEqual(error.fields, {"size": limit + 1, "limit": limit})
        letter = b"".join(b"%d bottles\r\n" % n for n in range(5000))
        self.assertEqual(self.make(Letter("drop", (), (letter[:9], letter[9:]), ""))[3][2], letter)

    def test_asked_of_exits(self):
        """What a letter asks of its exit comes from the letter: recipients, and what is shown."""
        policies = ({"max-recipients": 2}, {"max-recipients": 9, "allow-from": False})
        for mix, policy in zip(self.network.mixes[-2:], policies, strict=True):
            exit = Exit(name="smtp", module="smtp", max_message=10**6, policy=policy)
            mix.exits = (exit,)
        self.view = self.directory(Parameters())
        three = tuple(f"{name}@example.org" for name in ("a", "b", "c"))
        for recipients, content, last in (
            (three, b"\r\nx", "mix5"),
            (three[:2], b"From: A <a@x.org>\r\n\r\nx", "mix4"),
        ):
            path = self.make(Letter("smtp", recipients, (content,), ""))[0].path
            self.assertEqual(path[-1].nickname, last)
        many = Letter("smtp", three * 4, (b"\r\nx",), "")
        self.assertRaises(TooManyRecipients, self.make, many)

    def test_again(self):
        """What the outbox keeps of a packet makes the same letter."""
        letter = Letter("smtp", ("alice@example.org",), (b"x",), "*3,mix5")
        packet = self.make(letter)[0].packet
        self.assertEqual(Letter.again(packet.message, packet.path), letter)
        self.assertEqual((packet.period, len(packet.octets)), (3000, 32_768))

    def test_accepted(self):
        """Mixes take packets of a period until its keys' grace is over."""
        grace = Parameters().key_grace
        end = 3001 * WEEK
        for period, moment, expected in (
            (3000, end + grace - 1, True),
            (3000, end + grace, False),
            (2999, NOW, True),  # the border was a day ago
            (2999, NOW + grace, False),
            (2000, NOW, False),
            (3001, NOW, True),
        ):
            self.assertEqual(accepted(self.view, period, moment), expected, (period, moment))
