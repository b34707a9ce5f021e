"""Capabilities of mailboxes, as text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mixminion.payload import capability
from mixminion.payload.errors import BadCapability
from mixminion.testing.cases import SyncTestCase


class CapabilityTests(SyncTestCase):
    def test_text(self) -> None:
        """The 43 characters are those of RFC 4648, and come back."""
        octets = bytes(range(32))
        written = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
        self.assertEqual(capability.to_text(octets), written)
        self.assertEqual(capability.parse(written), octets)

    def test_every(self) -> None:
        """Each capability has one text."""

        @given(st.binary(min_size=32, max_size=32))
        def check(octets: bytes) -> None:
            written = capability.to_text(octets)
            self.assertEqual(len(written), capability.CHARACTERS)
            self.assertEqual(capability.parse(written), octets)

        check()

    def test_refused(self) -> None:
        """Any other text is none: of another length or alphabet, with padding, with spare bits."""
        written = capability.to_text(bytes(32))
        for wrong in (
            "",
            written[:-1],
            written + "A",
            written[:-1] + "B",
            written[:-1] + "=",
            written + "=",
            written[:-1] + "+",
            written[:-1] + "\n",
            written[:-1] + "é",
            " " + written[1:],
            bytes(32).hex(),
        ):
            self.assertRaises(BadCapability, capability.parse, wrong)
