"""Descriptors as a server signs them."""

from __future__ import annotations

from pathlib import Path

from mixminion.app.init import SOON, ServerKeys, certify_signing_key, published, write_signed
from mixminion.crypto import sign
from mixminion.directory.descriptor import PROTOCOLS, Descriptor
from mixminion.disk import private
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import START
from mixminion.util.hostport import HostPort

NOW = int(START)


class WriteSignedTests(SyncTestCase):
    def setUp(self) -> None:
        self.keys = ServerKeys(Path(self.mktemp()))
        private.make_folder(self.keys.folder)
        identity_private, self.identity = sign.generate()
        certify_signing_key(self.keys, identity_private, now=NOW)

    def dated(self, at: int, contact: str = "") -> int:
        """The date of one that is made then."""
        descriptor = Descriptor(
            identity=self.identity,
            nickname="alice",
            start=1,
            published=at,
            valid_after=NOW,
            valid_until=NOW + 30 * 86_400,
            addresses=(HostPort("192.0.2.1", 48099),),
            protocols=PROTOCOLS,
            suites=("xwing",),
            packet_keys=(),
            contact=contact,
        )
        write_signed(self.keys, descriptor)
        written = published(private.read(self.keys.descriptor))
        assert written is not None
        self.assertEqual(written.contact, contact)
        return written.published

    def test_dates(self):
        """No two have the same date, which authorities would refuse, also after a small step back
        of the clock; but one that was far ahead is left behind."""
        self.assertEqual(self.dated(NOW), NOW)
        self.assertEqual(self.dated(NOW, "one"), NOW + 1)
        self.assertEqual(self.dated(NOW, "two"), NOW + 2)
        self.assertEqual(self.dated(NOW + 2, "three"), NOW + 3)
        self.assertEqual(self.dated(NOW + 10, "four"), NOW + 10)
        self.assertEqual(self.dated(NOW + 10 + SOON, "five"), NOW + 10 + SOON)
        self.assertEqual(self.dated(NOW + 10, "six"), NOW + 10)

    def test_none_before(self):
        """A file that is no descriptor is replaced."""
        private.write(self.keys.descriptor, b"{}")
        self.assertEqual(self.dated(NOW), NOW)
