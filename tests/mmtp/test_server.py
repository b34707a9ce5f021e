"""The server over TLS in memory: good clients, and every kind of bad one."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone
from zope.interface.verify import verifyObject

from mixminion.counters import Name
from mixminion.interfaces import IIntake, Refusal
from mixminion.mmtp import frames
from mixminion.mmtp.frames import Closing, Kind
from mixminion.net.tls import peer_identity
from tests.mmtp.kit import LENGTH, Intake, NetworkCase, User, packet
from tests.net.kit import Recorder

WINDOW = 4
COUNT = 40_000


def frame(sequence: int) -> bytes:
    return frames.header(sequence) + packet(sequence)


def answers(octets: bytes) -> list[tuple[Kind, int, int]]:
    """Kind, reason and sequence of each whole answer."""
    length = frames.ANSWER_LENGTH
    cut = [octets[i : i + length] for i in range(0, len(octets) // length * length, length)]
    read = [frames.parse_answer(each) for each in cut]
    return [(each.kind, each.reason, each.sequence) for each in read]


ACCEPTED = (Kind.ACCEPTED, 0, 0)


def closing(why: Closing, last: int = 0) -> tuple[Kind, int, int]:
    return (Kind.CLOSING, why, last)


class GoodTests(NetworkCase):
    def setUp(self) -> None:
        super().setUp()
        self.server = self.serve(WINDOW)

    def write(self, client: Recorder, octets: bytes) -> None:
        assert client.transport is not None
        client.transport.write(octets)
        self.clock.advance(1)

    def test_intake(self) -> None:
        """The tests' intake is one."""
        verifyObject(IIntake, self.intake)

    def test_answered_after_the_commit(self) -> None:
        """Nothing is acknowledged before the intake says so; padding waits for the same."""
        client = self.raw()
        self.write(client, frame(1) + frames.header(2, padding=True) + bytes(LENGTH) + frame(3))
        self.assertEqual(self.intake.packets, [packet(1), None, packet(3)])
        self.assertEqual(answers(client.octets), [ACCEPTED])
        self.intake.commit()
        self.clock.advance(1)
        received = [(Kind.RECEIVED, 0, number) for number in (1, 2, 3)]
        self.assertEqual(answers(client.octets), [ACCEPTED, *received])
        self.assertEqual(self.counters[Name.RECEIVED], 2)
        self.assertEqual(self.counters[Name.PADDING], 1)

    def test_one_write_for_a_commit(self) -> None:
        """Answers that become ready in one turn travel as one."""
        client = self.raw()
        arrivals: list[int] = []
        client.dataReceived = lambda data: arrivals.append(len(data))  # type: ignore[method-assign]
        self.write(client, frame(1) + frame(2) + frame(3))
        self.intake.commit()
        self.clock.advance(1)
        self.assertEqual(arrivals, [3 * frames.ANSWER_LENGTH])

    def test_refused(self) -> None:
        """A full intake refuses, padding and packets the same, and the session goes on."""
        client = self.raw()
        self.intake.at_once, self.intake.refusal = True, Refusal.FULL
        self.write(client, frame(1) + frames.header(2, padding=True) + bytes(LENGTH))
        self.intake.refusal = None
        self.write(client, frame(3))
        expected = [(Kind.REFUSED, Refusal.FULL, 1), (Kind.REFUSED, Refusal.FULL, 2)]
        self.assertEqual(answers(client.octets), [ACCEPTED, *expected, (Kind.RECEIVED, 0, 3)])
        self.assertEqual(self.counters[Name.REFUSED_FULL], 2)

    def test_intake_fails(self) -> None:
        """A defect in the intake refuses that frame, is logged as ours, and ends nothing."""

        async def coroutine(packet: bytes) -> Refusal | None:
            raise RuntimeError("coroutine")

        def raises(packet: bytes) -> Deferred[Refusal | None]:
            raise RuntimeError("raised")

        client = self.raw()
        for number, receive in enumerate(
            (coroutine, raises, lambda packet: fail(RuntimeError("failed"))), start=1
        ):
            self.intake.receive = receive  # type: ignore[method-assign]
            self.write(client, frame(number))
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
            self.assertEqual(answers(client.octets)[-1], (Kind.REFUSED, Refusal.FULL, number))

    def test_async_intake(self) -> None:
        """An intake may be an ``async def``."""

        async def receive(packet: bytes) -> Refusal | None:
            return Refusal.RATE

        self.intake.receive = receive  # type: ignore[method-assign]
        client = self.raw()
        self.write(client, frame(1))
        self.assertEqual(answers(client.octets)[-1], (Kind.REFUSED, Refusal.RATE, 1))

    def test_who_dials(self) -> None:
        """A mix is known by its identity, a client without certificate as nobody."""
        for credentials, identity in (
            (None, None),
            (self.other.credentials, self.other.public),
        ):
            client = self.raw(credentials)
            (session,) = self.server.sessions
            self.assertEqual(peer_identity(session.transport), identity)
            assert client.transport is not None
            client.transport.loseConnection()
            self.clock.advance(1)

    def test_client_closes(self) -> None:
        """A client that closes properly between frames leaves nothing and is no error."""
        client = self.raw()
        self.write(client, frame(1))
        assert client.transport is not None
        client.transport.loseConnection()
        self.assert_idle()
        self.intake.commit()  # the answer has nowhere to go
        self.assertEqual(self.counters[Name.LINK_BROKEN], 0)
        self.assertEqual(self.counters[Name.RECEIVED], 1)

    def test_many_senders(self) -> None:
        """Fifty clients send at once; each gets its own answers; a bad one among them harms
        nobody."""
        users = [User() for _ in range(50)]
        links = [self.link(user) for user in users]
        bad = self.raw()
        for number, link in enumerate(links):
            link.send(number, packet(number))
        self.write(bad, b"junk" * 500)
        self.intake.commit()
        self.clock.advance(1)
        self.assertEqual([user.keys for user in users], [[[number]] for number in range(50)])
        wanted = {packet(number) for number in range(50)}
        self.assertEqual({each for each in self.intake.packets if each}, wanted)
        self.assertIsNotNone(bad.end)
        for link in links:
            self.clock.result_of(link.close())
        self.assert_idle()


class BadTests(NetworkCase):
    """Each kind of bad client: how its session ends, what is counted and logged."""

    def setUp(self) -> None:
        super().setUp()
        self.server = self.serve(WINDOW)
        self.client = self.raw()

    def write(self, octets: bytes) -> None:
        assert self.client.transport is not None
        self.client.transport.write(octets)
        self.clock.advance(1)

    def assert_broken(self, code: str, last: int | None = 0) -> None:
        """Counted and logged once as *code*; the client was told (unless *last* is None);
        nothing is left."""
        if last is not None:
            self.assertEqual(answers(self.client.octets)[-1], closing(Closing.BROKEN, last))
            assert self.client.end is not None
            self.assertTrue(self.client.end.check(ConnectionDone))
        self.assert_idle()
        self.assertEqual(self.events.codes, [code])
        self.assertNotIn("127.0.0.1", repr(self.events.seen))
        self.assertEqual(self.counters[Name.LINK_BROKEN], 1)
        self.assertEqual(self.server.sessions, set())
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_junk(self) -> None:
        """Another protocol inside TLS."""
        self.write(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n" * 40)
        self.assert_broken("bad-frame")

    def test_sequence(self) -> None:
        """A frame out of sequence; what came before it is still taken in."""
        self.write(frame(1) + frame(3))
        self.assertEqual(self.intake.packets, [packet(1)])
        self.assert_broken("out-of-sequence")

    def test_window(self) -> None:
        """More than the window."""
        self.intake.at_once = True
        self.write(frame(1))
        self.intake.at_once = False
        self.write(b"".join(frame(number) for number in range(2, 7)))
        self.assert_broken("window-exceeded", last=1)

    def test_truncated(self) -> None:
        """A proper close in the middle of a frame."""
        self.write(frame(1)[:-1])
        assert self.client.transport is not None
        self.client.transport.loseConnection()
        self.assert_broken("truncated", None)
        self.assertEqual(self.intake.packets, [])

    def test_bogus_close(self) -> None:
        """A TCP close without TLS's own."""
        self.write(frame(1))
        self.network.drop()
        self.assert_broken("not-closed", None)

    def test_junk_below_tls(self) -> None:
        """Octets that are no TLS record, in the middle of a session."""
        assert self.client.transport is not None
        tls: object = self.client.transport
        tls.transport.write(b"junk" * 10)  # type: ignore[attr-defined]
        self.assert_broken("not-closed", None)

    def test_never_closes(self) -> None:
        """A client that does not answer our close is cut off after ten seconds."""
        transport = self.client.transport
        assert transport is not None
        transport.pauseProducing()  # type: ignore[attr-defined]
        self.write(b"junk" * 500)
        self.clock.advance(5)
        self.assertEqual(len(self.server.sessions), 1)
        self.clock.advance(10)
        self.assertEqual(self.server.sessions, set())
        self.assertEqual(self.events.codes, ["bad-frame"])


class ReadingTests(NetworkCase):
    """Clients that do not read their answers, with a window that does not stop them."""

    def setUp(self) -> None:
        super().setUp()
        self.server = self.serve(window=1_000_000)
        self.intake.at_once = True
        self.client = self.raw()
        self.pause()

    def pause(self) -> None:
        assert self.client.transport is not None
        self.client.transport.pauseProducing()  # type: ignore[attr-defined]

    def flood(self) -> None:
        """More padding than answers fit into all buffers on the way."""
        assert self.client.transport is not None
        padding = b"".join(
            frames.header(sequence, padding=True) + bytes(LENGTH)
            for sequence in range(1, COUNT + 1)
        )
        self.client.transport.write(padding)
        self.clock.advance(30)
        self.assertLess(len(self.intake.packets), COUNT)  # it is not read for ever

    def test_stops_reading(self) -> None:
        """First nothing more is read from such a client, then it is cut off."""
        self.flood()
        taken = len(self.intake.packets)
        self.assertEqual(len(self.server.sessions), 1)
        self.clock.advance(60)
        self.assertEqual(len(self.intake.packets), taken)
        self.assertEqual(self.server.sessions, set())
        self.assertEqual(self.events.codes, ["stalled"])
        self.assertEqual(self.counters[Name.LINK_BROKEN], 1)

    def test_reads_again_in_time(self) -> None:
        """One that only pauses gets all its answers."""
        self.flood()
        assert self.client.transport is not None
        self.client.transport.resumeProducing()  # type: ignore[attr-defined]
        self.clock.advance(30)
        self.assertEqual(len(self.intake.packets), COUNT)
        self.assertEqual(answers(self.client.octets)[-1], (Kind.RECEIVED, 0, COUNT))
        self.clock.advance(60)
        self.assertEqual(self.events.codes, [])
        self.assertEqual(len(self.server.sessions), 1)

    def test_closing_is_read(self) -> None:
        """One that reads again after we closed sees everything, and its close is seen."""
        self.flood()
        stopped = self.server.stop()
        assert self.client.transport is not None
        self.client.transport.resumeProducing()  # type: ignore[attr-defined]
        self.clock.advance(2)
        self.successResultOf(stopped)
        self.assertEqual(answers(self.client.octets)[-1][:2], (Kind.CLOSING, Closing.STOPPING))
        assert self.client.end is not None
        self.assertTrue(self.client.end.check(ConnectionDone))

    def test_stop_cuts_them_off(self) -> None:
        """stop() does not wait for a client that does not read."""
        self.flood()
        stopped = self.server.stop()
        self.clock.advance(11)
        self.successResultOf(stopped)


class EndTests(NetworkCase):
    """The server's own ends."""

    def setUp(self) -> None:
        super().setUp()
        self.server = self.serve(WINDOW)
        self.client = self.raw()

    def write(self, octets: bytes) -> None:
        assert self.client.transport is not None
        self.client.transport.write(octets)
        self.clock.advance(1)

    def assert_ended(self, why: Closing, last: int) -> None:
        self.assertEqual(answers(self.client.octets)[-1], closing(why, last))
        self.assertEqual(self.server.sessions, set())
        self.assertEqual(self.events.codes, [])
        self.assert_idle()

    def test_idle(self) -> None:
        """Ten minutes without a frame."""
        self.clock.advance(500)
        self.intake.at_once = True
        self.write(frame(1))
        self.clock.advance(598)
        self.assertEqual(len(self.server.sessions), 1)
        self.clock.advance(2)
        self.assert_ended(Closing.IDLE, 1)

    def test_not_idle_while_we_are_slow(self) -> None:
        """A client that waits for us is not idle."""
        self.write(frame(1))
        self.clock.advance(1800)
        self.assertEqual(len(self.server.sessions), 1)
        self.intake.commit()
        self.clock.advance(601)
        self.assert_ended(Closing.IDLE, 1)

    def test_an_hour(self) -> None:
        """A session that never rests ends after an hour, everything answered."""
        self.intake.at_once = True
        for sequence in range(1, 60):
            self.write(frame(sequence))
            self.clock.advance(59)
        self.intake.at_once = False
        self.write(frame(60))
        self.clock.advance(60)
        self.assertEqual(len(self.server.sessions), 1)
        self.intake.commit()
        self.clock.advance(1)
        self.assert_ended(Closing.OVER, 60)

    def test_stop(self) -> None:
        """stop() answers what was taken, refuses what still comes, then closes."""
        self.write(frame(1))
        stopped = self.server.stop()
        again = self.server.stop()
        self.write(frame(2))
        self.assertNoResult(stopped)
        self.intake.commit()
        self.clock.advance(1)
        self.successResultOf(stopped)
        self.successResultOf(again)
        self.assertEqual(
            answers(self.client.octets)[1:3],
            [(Kind.RECEIVED, 0, 1), (Kind.REFUSED, Refusal.STOPPING, 2)],
        )
        self.assertEqual(self.counters[Name.REFUSED_STOPPING], 1)
        self.assert_ended(Closing.STOPPING, 2)

    def test_stop_idle(self) -> None:
        """Sessions with nothing under way close at once; without sessions it is done at once."""
        stopped = self.server.stop()
        self.clock.advance(1)
        self.successResultOf(stopped)
        self.successResultOf(self.server.stop())
        self.assert_ended(Closing.STOPPING, 0)

    def test_dialled_while_stopping(self) -> None:
        """Who comes late is told."""
        stopped = self.server.stop()
        self.clock.advance(1)
        self.successResultOf(stopped)
        late = self.raw()
        self.assertEqual(answers(late.octets), [ACCEPTED, closing(Closing.STOPPING)])
        self.assert_idle()


class WithoutTLSTests(NetworkCase):
    def test_plain(self) -> None:
        """The session itself needs no TLS: other transports can carry it."""
        from mixminion.mmtp.server import MMTPServerFactory

        intake = Intake()
        intake.at_once = True
        server = MMTPServerFactory(intake, self.clock, LENGTH, WINDOW, self.counters)
        client = Recorder()
        self.network.join(client, server.buildProtocol(None))
        assert client.transport is not None
        client.transport.write(frame(1))
        self.clock.advance(1)
        self.assertEqual(answers(client.octets), [ACCEPTED, (Kind.RECEIVED, 0, 1)])
