"""Directories signed by hand."""

from __future__ import annotations

import stat
from pathlib import Path

from mixminion.directory.checks import SignedConsensus, check_dates
from mixminion.directory.errors import BadSignature
from mixminion.directory.parameters import Parameters
from mixminion.dirhttp.cache import DocumentCache
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.directory import NothingToSign, sign_directory
from tests.directory.network import NOW, PERIOD, WEEK, authorities, identity, packet_key, published

PRIVATE, PUBLIC = authorities(3)


class SignTests(SyncTestCase):
    """From descriptors to documents."""

    def setUp(self):
        self.signed = sign_directory(
            [published(name, i) for i, name in enumerate(["alice", "bob"], 1)], PRIVATE, now=NOW
        )

    def test_believed(self):
        """All authorities signed, it is valid now, and the view has servers and keys."""
        found = SignedConsensus.verify(self.signed.consensus, PUBLIC, NOW)
        self.assertEqual(found.tally.signed, 3)
        check_dates(found.consensus, NOW)
        check_dates(found.consensus, NOW + WEEK - 1)
        view = self.signed.view()
        self.assertEqual(view.periods, (PERIOD, PERIOD + 1, PERIOD + 2))
        self.assertTrue(view.test_network)
        for name in ("alice", "bob"):
            server = view.by_name(name)
            assert server is not None
            self.assertTrue(server in view.usable(NOW, PERIOD))
            self.assertEqual(
                view.packet_key(identity(name), PERIOD + 2), packet_key(name, PERIOD + 2)
            )

    def test_written(self):
        """The files are those of a document cache, whatever the umask, and load as one."""
        folder = Path(self.mktemp()).resolve()
        self.signed.write(folder)
        self.assertEqual(stat.S_IMODE((folder / "consensus").stat().st_mode), 0o600)
        cache = DocumentCache(PUBLIC, folder)
        self.assertTrue(cache.load(NOW))
        self.assertEqual(len(cache.view(NOW).servers), 2)

    def test_real_parameters(self):
        """A network with the defaults, valid for three hours."""
        signed = sign_directory(
            [published("alice")],
            PRIVATE,
            now=NOW + 0.5,
            parameters=Parameters.default(),
            test_network=False,
        )
        consensus = signed.view().consensus
        self.assertEqual(consensus.valid_until - consensus.valid_after, 10_800)
        self.assertFalse(consensus.test_network)

    def test_nobody(self):
        """A new network's first directory lists nobody, and says how packets will be made."""
        view = sign_directory([], PRIVATE, now=NOW).view()
        self.assertEqual((view.servers, view.usable(NOW, PERIOD)), ((), []))
        self.assertEqual(view.periods, (PERIOD, PERIOD + 1, PERIOD + 2))
        self.assertEqual(view.geometry.suite, "xwing")

    def test_refused(self):
        """Two servers of one name, no keys for now, and a descriptor that nobody signed."""
        for descriptors, part in (
            ([published("alice"), published("bob", nickname="Alice")], "one nickname"),
            ([published("alice", packet_keys=())], "no server has a packet key"),
        ):
            error = self.assertRaises(NothingToSign, sign_directory, descriptors, PRIVATE, now=NOW)
            self.assertIn(part, render(error))
        late = NOW + 90 * 86_400
        self.assertRaises(BadSignature, sign_directory, [published("a")], PRIVATE, now=late)
