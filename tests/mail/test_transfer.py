"""Re-encoding: only where a body cannot travel, and the reader sees the same."""

import quopri

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.mail import data, transfer
from mixminion.mail.fields import Field
from mixminion.testing.cases import SyncTestCase

PLAIN = [Field("Content-Type", "text/plain; charset=utf-8")]


class TransferTests(SyncTestCase):
    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.sampled_from([b"=", b"\r\n", b" ", b".", b"\0", b"\xc3\xa4", b"\t", b"x" * 300])
        )
    )
    def test_same_to_the_reader(self, parts: list[bytes]) -> None:
        """Quoted-printable decodes to the same octets, in short 7-bit lines."""
        body = data.canonical(b"".join(parts))
        encoded = transfer.quoted_printable(PLAIN, body)
        assert encoded is not None
        fields, octets = encoded
        self.assertTrue(octets.isascii())
        self.assertFalse(transfer.must_encode(octets))
        self.assertEqual(octets, data.canonical(octets))
        self.assertEqual(quopri.decodestring(octets), body)
        self.assertEqual(transfer.value(fields, "content-transfer-encoding"), "quoted-printable")

    def test_left_alone(self) -> None:
        """Multiparts, enclosed messages and what is encoded already are never touched."""
        for fields in (
            [Field("Content-Type", "Multipart/signed; boundary=x")],
            [Field("content-type", "message/rfc822")],
            [*PLAIN, Field("Content-Transfer-Encoding", "BASE64")],
        ):
            self.assertIsNone(transfer.quoted_printable(fields, b"\0\r\n"))

    def test_when(self) -> None:
        """998 octets travel, 999 do not, nor does a NUL."""
        self.assertFalse(transfer.must_encode(b"x" * 998 + b"\r\n"))
        self.assertTrue(transfer.must_encode(b"x" * 999 + b"\r\n"))
        self.assertTrue(transfer.must_encode(b"a\0\r\n"))
