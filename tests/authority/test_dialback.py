"""Dialling back: real TLS over memory wires, whoever answers or does not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from mixminion.authority.dialback import TIMEOUT, DialBack, connector
from mixminion.authority.records import Decision
from mixminion.counters import Counters
from mixminion.crypto import sign as ed25519
from mixminion.crypto.rng import SeededRandom
from mixminion.interfaces import Clock
from mixminion.net.alpn import link_factory
from mixminion.net.links import LinkCredentials, certify
from mixminion.net.tls import server_tls
from mixminion.testing.wire import MemoryNetwork
from mixminion.util.hostport import HostPort
from tests.authority.kit import NOW, AuthorityCase, identity, settings
from tests.directory.network import private_key
from tests.net.kit import Recorders

HOUR = 3600
DAY = 24 * HOUR


def credentials(name: str, clock: Clock) -> LinkCredentials:
    """Those of the identity that descriptors of that name have."""
    signing, public = ed25519.generate()
    statement = certify(private_key(name), public, NOW - DAY, NOW + 59 * DAY)
    return LinkCredentials(identity(name), signing, statement, clock)


class DialCase(AuthorityCase):
    def setUp(self) -> None:
        super().setUp()
        self.network = MemoryNetwork(self.clock, latency=0.01)
        self.names: dict[str, list[str]] = {}
        self.dialled: list[tuple[float, str]] = []
        self.dialback = self.make()
        self.dialback.start()

    def begin(self) -> None:
        super().begin()
        self.intake._taken = lambda record: self.dialback.soon(record)

    def make(self) -> DialBack:
        return DialBack(
            clock=self.clock,
            random=SeededRandom(b"x"),
            register=self.register,
            settings=lambda: self.settings,
            connect=self.connect,
            resolve=self.resolve,
        )

    def connect(self, place: HostPort) -> IStreamClientEndpoint:
        self.dialled.append((self.clock.seconds() - NOW, str(place)))
        return self.network.client(
            place.host, place.port, "::2" if ":" in place.host else "127.9.9.9"
        )

    async def resolve(self, name: str) -> Sequence[str]:
        return self.names.get(name, [])

    def listen(self, name: str, host: str, port: int = 48099, alpn: bytes = b"mmtp/2") -> object:
        """The server *name*, with real TLS."""
        tls = server_tls(credentials(name, self.clock), [alpn], self.clock)
        factory = link_factory(tls, {alpn: Recorders()}, self.clock, Counters())
        return self.clock.result_of(self.network.server(host, port).listen(factory))

    def reason(self, name: str = "alice") -> str:
        return self.intake.standing(identity(name))[0].reason

    def tearDown(self) -> None:
        self.run_(self.dialback.stop())
        self.clock.advance(120)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AnswerTests(DialCase):
    def test_there(self):
        """A server that is where it says is listed seconds after it published."""
        self.listen("alice", "127.1.0.1")
        self.offer("alice")
        self.clock.advance(2)
        self.assertEqual(self.state("alice"), ["listed"])
        self.assertEqual(len(self.dialled), 1)

    def test_hung_up(self):
        """The link is closed at once, from our side."""
        self.listen("alice", "127.1.0.1")
        self.offer("alice")
        self.clock.advance(2)
        self.assertEqual(self.network.connections("127.1.0.1"), [])

    def test_dead(self):
        """Nobody listens there."""
        self.offer("alice")
        self.clock.advance(40)
        self.assertEqual(self.state("alice"), ["unreachable"])
        self.assertIn("at 127.1.0.1:48099: no connection", self.reason())

    def test_silent(self):
        """Somebody takes the connection and says nothing."""
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        self.clock.result_of(self.network.server("127.1.0.1", 48099).listen(factory))
        self.offer("alice")
        self.clock.advance(TIMEOUT - 1)
        self.assertEqual(self.state("alice"), ["waiting"])
        self.clock.advance(2)
        self.assertIn("no answer within 30 seconds", self.reason())
        self.assertEqual(self.network.connections("127.1.0.1"), [])

    def test_not_tls(self):
        """Another program."""

        class Greeter(Protocol):
            def connectionMade(self):
                self.transport.write(b"220 mail.example ESMTP\r\n")

        factory = Factory.forProtocol(Greeter)
        factory.noisy = False
        self.clock.result_of(self.network.server("127.1.0.1", 48099).listen(factory))
        self.offer("alice")
        self.clock.advance(5)
        self.assertIn("the link was refused (not-tls)", self.reason())

    def test_other_identity(self):
        """Another server at that address."""
        self.listen("bob", "127.1.0.1")
        self.offer("alice")
        self.clock.advance(5)
        self.assertEqual(self.state("alice"), ["unreachable"])
        self.assertIn("another identity was proved there", self.reason())

    def test_other_protocol(self):
        """The right server, which speaks something else there."""
        self.listen("alice", "127.1.0.1", alpn=b"http/1.1")
        self.offer("alice")
        self.clock.advance(5)
        self.assertIn("(wrong-protocol)", self.reason())

    def test_each_family(self):
        """Every published address has to answer, of either family."""
        self.listen("alice", "127.1.0.1")
        both = (HostPort("127.1.0.1", 48099), HostPort("::1", 48099))
        self.offer("alice", addresses=both)
        self.clock.advance(40)
        self.assertEqual(self.state("alice"), ["unreachable"])
        self.assertIn("at [::1]:48099", self.reason())
        self.listen("alice", "::1")
        self.clock.advance(HOUR)
        self.assertEqual(self.state("alice"), ["listed"])

    def test_names(self):
        """A name stands for all its addresses; one that leads home is refused on a real
        network, and never dialled."""
        self.names["mix.example"] = ["127.1.0.1", "::1"]
        self.listen("alice", "127.1.0.1")
        self.offer("alice", addresses=(HostPort("mix.example", 48099),))
        self.clock.advance(40)
        self.assertEqual(self.state("alice"), ["unreachable"])
        self.assertEqual({place for _, place in self.dialled}, {"127.1.0.1:48099", "[::1]:48099"})
        self.settings = settings(test_network="no")
        self.dialled.clear()
        self.offer("alice", addresses=(HostPort("mix.example", 48099),), published=NOW + 60)
        self.clock.advance(40)
        self.assertIn("cannot be reached from elsewhere", self.reason())
        self.assertEqual(self.dialled, [])

    def test_unknown_name(self):
        """A name that nobody knows."""
        self.offer("alice", addresses=(HostPort("mix.example", 48099),))
        self.clock.advance(5)
        self.assertIn("at mix.example:48099: its name is not known", self.reason())


class TimesTests(DialCase):
    def test_every_hour(self):
        """Who answers is dialled again after half an hour to an hour."""
        self.listen("alice", "127.1.0.1")
        self.offer("alice")
        self.clock.advance(24 * HOUR)
        self.assertTrue(23 <= len(self.dialled) <= 50, len(self.dialled))

    def test_back_off(self):
        """Who does not is dialled after minutes, then more and more seldom."""
        self.offer("alice")
        self.clock.advance(24 * HOUR)
        times = [time for time, _ in self.dialled]
        pauses = [b - a for a, b in pairwise(times)]
        self.assertLess(pauses[0], 340)
        self.assertTrue(23 <= len(times) <= 60, len(times))
        self.assertGreater(min(pauses[6:]), 1700)

    def test_away_for_a_while(self):
        """A short absence is forgiven, a longer one not; coming back is noticed."""
        port = self.listen("alice", "127.1.0.1")
        self.offer("alice")
        self.clock.advance(2)
        self.clock.result_of(port.stopListening())  # type: ignore[attr-defined]
        self.clock.run_until(lambda: len(self.dialled) == 3, 4 * HOUR)
        self.assertEqual(self.state("alice"), ["listed"])
        self.clock.advance(4 * HOUR)
        self.assertEqual(self.state("alice"), ["unreachable"])
        self.listen("alice", "127.1.0.1")
        self.clock.advance(HOUR)
        self.assertEqual(self.state("alice"), ["listed"])

    def test_restart(self):
        """After a restart what was found counts, and not everybody is dialled at once."""
        for number in range(1, 31):
            self.listen(f"s{number}", f"127.{number}.0.1")
            self.offer(f"s{number}", number)
        self.clock.advance(10)
        self.assertEqual(len(self.dialled), 30)
        self.run_(self.dialback.stop())
        self.dialled.clear()
        self.dialback = self.make()
        self.dialback.start()
        self.clock.advance(20 * 60)
        self.assertEqual(self.dialled, [])
        self.clock.advance(40 * 60)
        self.assertGreaterEqual(len(self.dialled), 30)

    def test_moved_meanwhile(self):
        """Who publishes another address while the old one is dialled is dialled again."""
        self.listen("alice", "127.2.0.1")
        self.offer("alice", 1)
        self.offer("alice", 2, published=NOW + 1)
        self.clock.advance(40)
        self.assertEqual(self.state("alice"), ["listed"])

    def test_turned_away(self):
        """Nobody dials who is banned."""
        self.offer("alice")
        self.run_(self.register.decide(identity("alice"), Decision.BANNED))
        self.clock.advance(60)
        self.dialled.clear()
        self.clock.advance(24 * HOUR)
        self.assertEqual(self.dialled, [])


class EndpointTests(AuthorityCase):
    def test_connector(self):
        """Over sockets it is an ordinary endpoint."""
        found = connector(self.clock)(HostPort("127.0.0.1", 1))
        self.assertIsInstance(found, HostnameEndpoint)
