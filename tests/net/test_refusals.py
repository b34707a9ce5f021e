"""Failures of handshakes become our errors, counted and logged once."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from mixminion.counters import Counters, Name
from mixminion.net import errors
from mixminion.net.refusals import report, translate
from mixminion.testing.cases import SyncTestCase
from tests.net.kit import Events


def openssl(reason: str) -> Failure:
    return Failure(SSL.Error([("SSL routines", "", reason)]))


class TranslateTests(SyncTestCase):
    def test_alerts(self) -> None:
        """What the other side said, in whatever words OpenSSL wraps it."""
        for reason, kind in (
            ("tls alert certificate expired", errors.RefusedAsExpired),
            ("sslv3 alert certificate expired", errors.RefusedAsExpired),
            ("tlsv1 alert unknown ca", errors.RefusedAsStranger),
            ("tlsv1 alert no application protocol", errors.WrongProtocol),
        ):
            self.assertIsInstance(translate(openssl(reason), None), kind)

    def test_other_alert(self) -> None:
        """An alert without a sentence of its own is named."""
        refusal = translate(openssl("tls alert decrypt error"), None)
        self.assertIsInstance(refusal, errors.RefusedUnsaid)
        self.assertEqual(refusal.fields, {"alert": "decrypt error"})

    def test_anything(self) -> None:
        """Whatever the failure, the answer is one of ours."""
        for failure in (
            openssl("never heard of"),
            Failure(SSL.Error([])),
            Failure(SSL.Error()),
            Failure(SSL.SysCallError(-1, "Unexpected EOF")),
        ):
            self.assertIsInstance(translate(failure, None), errors.NotTLS)
        for lost in (ConnectionDone(), ConnectionLost(), RuntimeError()):
            self.assertIsInstance(translate(Failure(lost), None), errors.HandshakeCut)
        own = errors.WrongIdentity()
        self.assertIs(translate(Failure(own), None), own)


class ReportTests(SyncTestCase):
    def test_once(self) -> None:
        """One count, one event with the code and the side and nothing else."""
        events = Events().watch(self.addCleanup)
        counters = Counters()
        report(errors.Expired(ended="2027-01-15T08:00:00Z"), "listening", counters)
        self.assertEqual(counters.snapshot(), {Name.LINK_REFUSED: 1})
        (event,) = events.seen
        self.assertEqual((event["code"], event["side"]), ("expired", "listening"))
        self.assertEqual(
            {key for key in event if not key.startswith("log_")} - {"time", "format", "message"},
            {"code", "side", "system", "isError"} & set(event),
        )
