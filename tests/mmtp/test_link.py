"""Links over TLS in memory: to a good server, and to every kind of bad one."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError

from mixminion.counters import Counters, Name
from mixminion.errors import PeerError
from mixminion.interfaces import Refusal
from mixminion.mmtp import errors, frames
from mixminion.mmtp.client import Link
from mixminion.mmtp.frames import Closing, Kind
from mixminion.net import errors as net_errors
from tests.mmtp.kit import NetworkCase, User, packet
from tests.net.kit import Recorder, Recorders


class GoodTests(NetworkCase):
    def setUp(self) -> None:
        super().setUp()
        self.server = self.serve(window=4)
        self.user = User()

    def test_opened(self) -> None:
        """The link is the user's before the Deferred fires, with its window and its TLS."""
        dialled = self.dial(self.user)
        _ = dialled.addCallback(lambda link: self.assertIs(self.user.link, link))
        self.clock.advance(1)
        link = self.user.link
        assert link is not None and link.negotiated is not None
        self.assertEqual(link.room, 4)
        self.assertEqual(link.negotiated.group, "X25519MLKEM768")

    def test_packets(self) -> None:
        """Packets arrive as they were sent and are acknowledged when they are on disk."""
        link = self.link(self.user)
        link.send(7, packet(7))
        link.pad()
        link.send(9, packet(9))
        self.assertEqual((link.room, link.unanswered), (1, 3))
        self.clock.advance(1)
        self.assertEqual(self.intake.packets, [packet(7), None, packet(9)])
        self.assertEqual(self.user.keys, [])
        self.intake.commit()
        self.clock.advance(1)
        self.assertEqual(self.user.keys, [[7, 9]])
        self.assertEqual((link.room, link.unanswered), (4, 0))

    def test_refused(self) -> None:
        """A refusal has its reason; the link goes on."""
        link = self.link(self.user)
        self.intake.at_once, self.intake.refusal = True, Refusal.FULL
        link.send(7, packet(7))
        link.pad()
        self.clock.advance(1)
        self.assertEqual(self.user.refusals, [(7, Refusal.FULL)])
        self.assertEqual(link.room, 4)

    def test_padding_looks_like_packets(self) -> None:
        """Below TLS, a packet and padding are the same number of octets both ways, answered
        at the same moment."""
        link = self.link(self.user)
        self.clock.advance(1)
        near, far = self.network.connections()
        seen = []
        for send in (link.pad, lambda: link.send(1, packet(1)), link.pad):
            before = near.written, far.written
            send()
            self.clock.advance(0.5)
            half = near.written, far.written
            self.intake.commit()
            self.clock.advance(0.5)
            seen.append((before[0] - half[0], before[1] - half[1], half[1] - far.written))
        self.assertEqual(len(set(seen)), 1)
        self.assertNotIn(0, (seen[0][0], seen[0][2]))
        self.assertEqual(seen[0][1], 0)

    def test_close(self) -> None:
        """close() waits for the answers; then the connection and all timers are gone."""
        link = self.link(self.user)
        link.send(7, packet(7))
        closed, again = link.close(), link.close()
        self.clock.advance(1)
        self.assertNoResult(closed)
        self.assertEqual(link.room, 0)
        self.intake.commit()
        self.clock.advance(1)
        self.successResultOf(closed)
        self.successResultOf(again)
        self.successResultOf(link.close())
        self.assertEqual(self.user.keys, [[7]])
        self.assertEqual(self.user.ends, [([], None)])
        self.assertEqual(self.events.codes, [])
        self.assert_idle()

    def test_server_stops(self) -> None:
        """A server that stops is an ordinary end; what it refused may be tried again."""
        link = self.link(self.user)
        link.send(7, packet(7))
        self.clock.advance(1)
        stopped = self.server.stop()
        link.send(8, packet(8))
        self.clock.advance(1)
        self.intake.commit()
        self.clock.advance(1)
        self.successResultOf(stopped)
        self.assertEqual(self.user.keys, [[7]])
        self.assertEqual(self.user.refusals, [(8, Refusal.STOPPING)])
        self.assertEqual(self.user.ends, [([], None)])
        self.assert_idle()

    def test_an_hour(self) -> None:
        """A link in use closes itself after 55 minutes, before the server would end it."""
        link = self.link(self.user)
        self.intake.at_once = True
        for number in range(54):
            link.send(number, packet(number))
            self.clock.advance(60)
        self.assertEqual(self.user.ends, [])
        self.clock.advance(61)
        self.assertEqual(self.user.ends, [([], None)])
        self.assertEqual(len(self.user.keys), 54)
        self.assert_idle()

    def test_lost(self) -> None:
        """A connection that breaks hands back what was not acknowledged, in order, once."""
        link = self.link(self.user)
        for number in (5, 3, 4):
            link.send(number, packet(number))
        self.clock.advance(1)
        self.network.drop()
        self.clock.advance(1)
        ((keys, error),) = self.user.ends
        self.assertEqual(keys, [5, 3, 4])
        self.assertIsInstance(error, errors.NotClosed)
        self.assertEqual(link.room, 0)
        self.successResultOf(link.close())
        self.assert_idle()

    def test_partition(self) -> None:
        """A server that is silent for a minute while frames wait is given up."""
        link = self.link(self.user)
        link.send(1, packet(1))
        self.clock.advance(59)
        self.assertEqual(self.user.ends, [])
        self.clock.advance(2)
        ((keys, error),) = self.user.ends
        self.assertEqual(keys, [1])
        self.assertIsInstance(error, errors.Stalled)

    def test_silence_is_no_stall(self) -> None:
        """With nothing unanswered a link may rest; answers in time start the minute again."""
        link = self.link(self.user)
        link.send(1, packet(1))
        self.clock.advance(50)
        self.intake.commit()
        self.clock.advance(200)
        link.send(2, packet(2))
        self.clock.advance(50)
        link.send(3, packet(3))
        self.intake.commit()
        self.clock.advance(50)
        self.intake.commit()
        self.clock.advance(1)
        self.assertEqual(self.user.keys, [[1], [2], [3]])
        self.assertEqual(self.user.ends, [])


class BadServerTests(NetworkCase):
    """Servers that break the rules, before and after they accept."""

    def setUp(self) -> None:
        super().setUp()
        self.servers = Recorders()
        self.listen(self.servers)
        self.user = User()
        self.dialling = Counters()
        self.dialled = self.dial(self.user, self.dialling)
        self.clock.advance(1)

    @property
    def server(self) -> Recorder:
        return self.servers.made[0]

    def say(self, octets: bytes) -> None:
        assert self.server.transport is not None
        self.server.transport.write(octets)
        self.clock.advance(1)

    def accept(self) -> Link:
        self.say(frames.answer(Kind.ACCEPTED, 0, 0, 4))
        return self.successResultOf(self.dialled)

    def assert_failed(self, kind: type[PeerError], name: Name) -> None:
        self.failureResultOf(self.dialled, kind)
        self.assertEqual(self.user.ends, [])
        self.assert_ended(kind, name)

    def assert_lost(self, kind: type[PeerError], *keys: int) -> None:
        ((unacknowledged, error),) = self.user.ends
        self.assertIsInstance(error, kind)
        self.assertEqual(unacknowledged, [*keys])
        self.assert_ended(kind, Name.LINK_BROKEN)

    def assert_ended(self, kind: type[PeerError], name: Name) -> None:
        self.assertEqual(self.events.codes, [kind.code])
        self.assertEqual(self.dialling.snapshot(), {name: 1})
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assert_idle()

    def test_never_accepts(self) -> None:
        """TLS comes up and nothing follows: the dial has its deadline."""
        self.assertNoResult(self.dialled)
        self.clock.advance(30)
        self.assert_failed(errors.DialTooSlow, Name.DIAL_FAILED)

    def test_junk_instead_of_accepting(self) -> None:
        """The first frame is none."""
        self.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assert_failed(errors.BadFrame, Name.DIAL_FAILED)

    def test_newer_version(self) -> None:
        """A server of another version is named as one."""
        self.say(b"\x00\x00\x00\x03" + bytes(12))
        self.assert_failed(errors.WrongVersion, Name.DIAL_FAILED)

    def test_closes_instead_of_accepting(self) -> None:
        """A server that is stopping says so at once."""
        self.say(frames.answer(Kind.CLOSING, Closing.STOPPING, 0, 4))
        self.assert_failed(errors.ClosedByPeer, Name.DIAL_FAILED)

    def test_hangs_up_instead_of_accepting(self) -> None:
        """Or hangs up."""
        assert self.server.transport is not None
        self.server.transport.loseConnection()
        self.clock.advance(1)
        self.assert_failed(net_errors.HandshakeCut, Name.LINK_REFUSED)

    def test_cancelled(self) -> None:
        """A dial that nobody wants any more leaves nothing."""
        self.dialled.cancel()
        self.failureResultOf(self.dialled, CancelledError)
        self.assertEqual(self.events.codes, [])
        self.assert_idle()

    def test_shrinking_window(self) -> None:
        """A rule broken after a packet: it comes back."""
        self.accept().send(1, packet(1))
        self.say(frames.answer(Kind.RECEIVED, 0, 1, 3))
        self.assert_lost(errors.BadFrame, 1)

    def test_answers_twice(self) -> None:
        """The first answer counts, the second ends the link."""
        link = self.accept()
        link.send(1, packet(1))
        link.send(2, packet(2))
        self.say(frames.answer(Kind.RECEIVED, 0, 1, 4) * 2)
        self.assertEqual(self.user.keys, [[1]])
        self.assert_lost(errors.OutOfSequence, 2)

    def test_says_that_we_are_broken(self) -> None:
        """A server that finds fault with us is an error to be seen."""
        self.accept().send(1, packet(1))
        self.say(frames.answer(Kind.CLOSING, Closing.BROKEN, 0, 4))
        self.assert_lost(errors.ClosedByPeer, 1)

    def test_hangs_up_politely(self) -> None:
        """A TLS close without a closing frame is no ordinary end."""
        self.accept().send(1, packet(1))
        assert self.server.transport is not None
        self.server.transport.loseConnection()
        self.clock.advance(1)
        self.assert_lost(errors.NotClosed, 1)

    def test_junk_below_tls(self) -> None:
        """Octets that are no TLS record."""
        self.accept().send(1, packet(1))
        tls: Any = self.server.transport
        tls.transport.write(b"junk" * 10)
        self.clock.advance(1)
        self.assert_lost(net_errors.NotTLS, 1)

    def test_never_closes(self) -> None:
        """A server that ignores our close is cut off after ten seconds."""
        link = self.accept()
        tls: Any = self.server.transport
        tls.pauseProducing()
        closed = link.close()
        self.clock.advance(9)
        self.assertNoResult(closed)
        self.clock.advance(2)
        self.successResultOf(closed)
        self.assertEqual(self.user.ends, [([], None)])
