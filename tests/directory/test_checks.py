"""Signatures counted per authority, and dates."""

from __future__ import annotations

from collections.abc import Sequence

from mixminion.directory import certificate, checks
from mixminion.directory.certificate import Role
from mixminion.directory.checks import SignedConsensus, Standing
from mixminion.directory.consensus import Consensus
from mixminion.directory.envelope import (
    Envelope,
    PayloadType,
    Signature,
    Signer,
    key_id,
    sign,
)
from mixminion.directory.errors import (
    BadDocument,
    DirectoryEarly,
    DirectoryExpired,
    DirectoryOlder,
    NoAuthorities,
    NotEnoughSignatures,
    TwoDirectories,
)
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import NOW, authorities, consensus, identity, private_key, server

PRIVATE, PUBLIC = authorities(5)
SERVERS = [server("alice", 1)]


def delegated(authority: int, name: str, **changes: int) -> Signer:
    """A signing key of an authority, certified by its long-term key."""
    dates = {"valid_after": NOW - 10, "valid_until": NOW + 10} | changes
    carried = certificate.certify(Role.AUTHORITY, PRIVATE[authority], identity(name), **dates)
    return Signer.of(private_key(name), carried)


def signed(signers: Sequence[Signer]) -> Envelope:
    return sign(PayloadType.CONSENSUS, consensus(SERVERS).encode(), signers)


def direct(*numbers: int) -> list[Signer]:
    return [Signer.of(PRIVATE[i]) for i in numbers]


class CountTests(SyncTestCase):
    """Who signed."""

    def tally(self, signers: Sequence[Signer], now: float = NOW) -> checks.Tally:
        return checks.count(signed(signers), PUBLIC, now)

    def test_majority(self):
        """More than half of those trusted: 1 of 1, 2 of 2 and 3, 3 of 4 and 5."""
        for known, needed in ((1, 1), (2, 2), (3, 2), (4, 3), (5, 3)):
            for n in range(known + 1):
                tally = checks.count(signed(direct(*range(n))), PUBLIC[:known], NOW)
                self.assertEqual((tally.signed, tally.needed), (n, needed))
                self.assertEqual(tally.enough, n >= needed)

    def test_once_each(self):
        """An authority counts once, however many keys it signs with."""
        many = [*direct(0), *(delegated(0, f"key {i}") for i in range(4))]
        tally = self.tally(many)
        self.assertEqual((tally.signed, tally.strangers), (1, 0))

    def test_certified_keys(self):
        """Keys certified by long-term keys count for those, while the certificate holds."""
        signers = [delegated(i, f"key {i}") for i in range(3)]
        self.assertTrue(self.tally(signers).enough)
        late = self.tally(signers, NOW + 10)
        self.assertEqual(late.signed, 0)
        self.assertEqual(list(late.standings.values()).count(Standing.BAD), 3)

    def test_server_certificate(self):
        """A certificate for a server's key makes no authority's."""
        carried = certificate.certify(
            Role.SERVER, PRIVATE[0], identity("key"), valid_after=NOW, valid_until=NOW + 9
        )
        tally = self.tally([Signer.of(private_key("key"), carried)])
        self.assertIs(tally.standings[PUBLIC[0]], Standing.BAD)

    def test_strangers(self):
        """Signatures of others are counted as such and never for anybody."""
        stranger = Signer.of(private_key("mallory"))
        carried = certificate.certify(
            Role.AUTHORITY,
            private_key("mallory"),
            identity("key"),
            valid_after=NOW,
            valid_until=NOW + 9,
        )
        tally = self.tally([stranger, Signer.of(private_key("key"), carried), *direct(1)])
        self.assertEqual((tally.signed, tally.strangers), (1, 2))

    def test_stolen_key_id(self):
        """A bad signature under an authority's key id does not displace its good one."""
        mallory = Signer.of(private_key("mallory"))
        bad = sign(PayloadType.CONSENSUS, consensus().encode(), [mallory]).signatures[0]
        lying = Signature(keyid=key_id(PUBLIC[0]), sig=bad.sig)
        good = signed(direct(0))
        alone = Envelope(payload=good.payload, payload_type=good.payload_type, signatures=(lying,))
        self.assertIs(checks.count(alone, PUBLIC, NOW).standings[PUBLIC[0]], Standing.BAD)
        for signatures in ((lying, *good.signatures), (*good.signatures, lying)):
            both = Envelope(
                payload=good.payload, payload_type=good.payload_type, signatures=signatures
            )
            self.assertIs(checks.count(both, PUBLIC, NOW).standings[PUBLIC[0]], Standing.SIGNED)

    def test_malformed_certificate(self):
        """A signature with a certificate that is none is a stranger's."""
        carried = sign(PayloadType.KEY_CERTIFICATE, b"{", [])
        tally = self.tally([Signer.of(PRIVATE[0], carried), *direct(1)])
        self.assertEqual((tally.signed, tally.strangers), (1, 1))

    def test_an_authority_named_twice(self):
        """The same key twice in the configuration is one authority."""
        tally = checks.count(signed(direct(0)), [PUBLIC[0], PUBLIC[0]], NOW)
        self.assertEqual((tally.signed, tally.needed), (1, 1))


class VerifyTests(SyncTestCase):
    """Whether a consensus is believed."""

    def test_believed(self):
        """With enough signatures, and the digest is that of the payload."""
        octets = consensus(SERVERS).sign(direct(0, 1, 2))
        found = SignedConsensus.verify(octets, PUBLIC, NOW)
        self.assertEqual(found.consensus, consensus(SERVERS))
        self.assertEqual(found.octets, octets)
        more = SignedConsensus.verify(consensus(SERVERS).sign(direct(0, 1, 2, 3)), PUBLIC, NOW)
        self.assertEqual(found.digest, more.digest)

    def test_stranger(self):
        """Signed by others: the sentence says how many signed and who is missing."""
        octets = consensus(SERVERS).sign([Signer.of(private_key("mallory")), *direct(4)])
        error = self.assertRaises(
            NotEnoughSignatures, SignedConsensus.verify, octets, PUBLIC[2:], NOW
        )
        sentence = render(error)
        self.assertIn("signed by 1 of the 3 authorities", sentence)
        self.assertIn(f"signed: {PUBLIC[4].hex()[:8]}", sentence)
        for missing in PUBLIC[2:4]:
            self.assertIn(missing.hex()[:8], sentence)
        self.assertIn("1 signature of authorities that are not in your configuration", sentence)

    def test_changed(self):
        """A signed consensus with one bit of its payload changed."""
        good = signed(direct(0, 1, 2))
        changed = Envelope(
            payload=good.payload.replace(b'"mmtp-window":256', b'"mmtp-window":255'),
            payload_type=good.payload_type,
            signatures=good.signatures,
        )
        self.assertNotEqual(changed.payload, good.payload)
        Consensus.open(changed.encode())
        error = self.assertRaises(
            NotEnoughSignatures, SignedConsensus.verify, changed.encode(), PUBLIC, NOW
        )
        self.assertEqual(error.fields["signed"], 0)
        self.assertEqual(error.fields["detail"].count("bad: "), 1)

    def test_nobody_trusted(self):
        """Without authorities in the configuration nothing is believed."""
        octets = consensus(SERVERS).sign(direct(0))
        self.assertRaises(NoAuthorities, SignedConsensus.verify, octets, [], NOW)

    def test_not_a_consensus(self):
        """Octets of every other kind."""
        for octets in (b"", b"<html>", b"{}", sign(PayloadType.DESCRIPTOR, b"{}", []).encode()):
            self.assertRaises(BadDocument, SignedConsensus.verify, octets, PUBLIC, NOW)


class DateTests(SyncTestCase):
    """When a consensus is valid."""

    def test_borders(self):
        """From valid-after to before valid-until."""
        for now in (NOW, NOW + 10_799.9):
            checks.check_dates(consensus(), now)

    def test_expired(self):
        """The sentence says since when."""
        error = self.assertRaises(
            DirectoryExpired, checks.check_dates, consensus(), NOW + 10_800 + 2 * 86_400
        )
        self.assertIn("expired at 2027-01-15T11:00:00Z, 2 days ago", render(error))

    def test_early(self):
        """The sentence points at the clock."""
        error = self.assertRaises(DirectoryEarly, checks.check_dates, consensus(), NOW - 3600)
        self.assertIn("only from 2027-01-15T08:00:00Z, in 1 hour; check this", render(error))

    def test_durations(self):
        """Durations as people say them."""
        for seconds, text in (
            (0, "0 seconds"),
            (1, "1 second"),
            (59.9, "59 seconds"),
            (60, "1 minute"),
            (7199, "1 hour"),
            (86_400 * 2, "2 days"),
        ):
            self.assertEqual(checks.duration(seconds), text)


class SuccessionTests(SyncTestCase):
    """Never back, and one document for one time."""

    def made(self, valid_after: int, signers: Sequence[int] = (0, 1, 2), **changes: object):
        document = consensus(
            SERVERS,
            valid_after=valid_after,
            fresh_until=NOW + 5000,
            valid_until=NOW + 6000,
            **changes,
        )
        return SignedConsensus.verify(document.sign(direct(*signers)), PUBLIC, NOW)

    def test_forward(self):
        """A newer one, or the same with other signatures, follows."""
        checks.check_succession(self.made(NOW), self.made(NOW + 1))
        checks.check_succession(self.made(NOW), self.made(NOW, signers=(2, 3, 4)))

    def test_back(self):
        """An older one does not."""
        self.assertRaises(
            DirectoryOlder, checks.check_succession, self.made(NOW + 1), self.made(NOW)
        )

    def test_fork(self):
        """Nor does another one of the same time."""
        self.assertRaises(
            TwoDirectories, checks.check_succession, self.made(NOW), self.made(NOW, gap=True)
        )
