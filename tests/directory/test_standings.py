from mixminion.crypto import sign as ed25519
from mixminion.directory import certificate
from mixminion.directory.bootstrap import Authority
from mixminion.directory.certificate import Role
from mixminion.directory.checks import Standing
from mixminion.directory.consensus import Consensus
from mixminion.directory.envelope import Signer, key_id
from mixminion.directory.standings import Standings, Stranger, standings
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import NOW, authorities, consensus, private_key, server

PRIVATE, PUBLIC = authorities(4)
KNOWN = [Authority(PUBLIC[i], f"auth{i}") for i in range(3)]


def certified(private: bytes, name: str, until: int = NOW + 100) -> Signer:
    """The signing key *name*, certified by the identity *private*."""
    key = private_key(name)
    return Signer.of(
        key,
        certificate.certify(
            Role.AUTHORITY, private, ed25519.public(key), valid_after=NOW - 100, valid_until=until
        ),
    )


def read(*signers: Signer, now: float = NOW) -> Standings:
    _, envelope = Consensus.open(consensus([server("alice")]).sign(signers))
    return standings(envelope, KNOWN, now)


class StandingsTests(SyncTestCase):
    """Who signed, name by name."""

    def test_each(self):
        """Signed, bad and absent, in the configuration's order, and whether that is enough."""
        found = read(Signer.of(PRIVATE[1]), certified(PRIVATE[0], "old", until=NOW))
        self.assertEqual(
            found.authorities,
            (
                (KNOWN[0], Standing.BAD),
                (KNOWN[1], Standing.SIGNED),
                (KNOWN[2], Standing.ABSENT),
            ),
        )
        self.assertEqual((found.signed, found.strangers), ((KNOWN[1],), ()))
        self.assertEqual(
            (found.tally.signed, found.tally.needed, found.tally.enough), (1, 2, False)
        )

    def test_strangers(self):
        """Others are named by the identity they claim, or by their key."""
        found = read(
            certified(PRIVATE[0], "new"),
            Signer.of(PRIVATE[2]),
            Signer.of(PRIVATE[3]),
            certified(PRIVATE[3], "other"),
        )
        self.assertEqual(found.signed, (KNOWN[0], KNOWN[2]))
        self.assertTrue(found.tally.enough)
        self.assertEqual(
            set(found.strangers),
            {
                Stranger(key_id(PUBLIC[3]), None),
                Stranger(key_id(ed25519.public(private_key("other"))), PUBLIC[3]),
            },
        )
        self.assertEqual(found.tally.strangers, 2)
