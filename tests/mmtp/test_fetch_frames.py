"""Frames by which mailboxes are fetched, octet by octet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mixminion.crypto import sign
from mixminion.errors import MixminionError
from mixminion.mmtp import errors
from mixminion.mmtp.fetch_frames import (
    HEADER_LENGTH,
    REQUEST_LENGTH,
    Answer,
    Closing,
    Kind,
    Request,
    answer,
    parse_answer,
    parse_request,
    request,
    to_sign,
)
from mixminion.testing.cases import SyncTestCase

LENGTH = 64

OPEN = """
    01010000 00000001 0000000000000000
    03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8
    {signature}
    00000000000000000000000000000000
"""
SIGNATURE = """
    604ac1c3104ee195335cc06066cf12b0426f4bc74a121fac88a4bcecd7f4d080
    a411703b3a14894a1ab39ef4a215a2cc1e66401f369dd7fbae1b94cf4a279c00
"""
NEXT = "02010000 00000002 1112131415161718" + "00" * 112
PIECE = """
    01010001 00000002 1112131415161718 00000014 00000004 000000006b49d200
    a0a1a2a3a4a5a6a7a8a9aaabacadaeaf
    68656c6c6f2c20776f726c642121212e
"""
EMPTY = "02000001 00000003" + "00" * 56
CLOSED = "03010001 00000003 0000000000000000 00000002" + "00" * 44


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


class VectorTests(SyncTestCase):
    """The examples of doc/spec/mailbox.rst."""

    def test_open(self) -> None:
        """The proof is a signature on label, identity and what TLS exports."""
        private = bytes(range(32))
        bound = to_sign(bytes(range(32, 64)), bytes(range(64, 96)))
        self.assertEqual(bound[:12], b"mmtp-fetch/1")
        self.assertEqual(len(bound), 76)
        capability, signature = sign.public(private), sign.sign(private, bound)
        self.assertEqual(signature, unhex(SIGNATURE))
        frame = request(Request.OPEN, 1, capability=capability, signature=signature)
        self.assertEqual(frame, unhex(OPEN.format(signature=SIGNATURE)))
        asked = parse_request(frame)
        self.assertEqual((asked.capability, asked.signature), (capability, signature))

    def test_next(self) -> None:
        """A request that acknowledges."""
        frame = request(Request.NEXT, 2, 0x1112131415161718)
        self.assertEqual(frame, unhex(NEXT))

    def test_piece(self) -> None:
        """The rest of a reply."""
        piece = Answer(
            Kind.PIECE,
            2,
            item=0x1112131415161718,
            length=20,
            offset=4,
            date=1_800_000_000,
            handle=bytes(range(0xA0, 0xB0)),
            octets=b"hello, world!!!.",
        )
        self.assertEqual(answer(piece, LENGTH), unhex(PIECE))
        self.assertEqual(parse_answer(unhex(PIECE)), piece)

    def test_others(self) -> None:
        """Nothing, and the end."""
        self.assertEqual(answer(Answer(Kind.EMPTY, 3), LENGTH), unhex(EMPTY))
        closing = Answer(Kind.CLOSING, 3, Closing.DONE, length=2)
        self.assertEqual(answer(closing, LENGTH), unhex(CLOSED))
        self.assertEqual(parse_answer(unhex(CLOSED)), closing)


class RequestTests(SyncTestCase):
    def test_again(self) -> None:
        """What is read is what was written."""

        @given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.sampled_from(Request))
        def check(sequence: int, taken: int, kind: Request) -> None:
            taken = 0 if kind is Request.OPEN else taken
            asked = parse_request(request(kind, sequence, taken))
            self.assertEqual((asked.kind, asked.sequence, asked.taken), (kind, sequence, taken))

        check()

    def test_refused(self) -> None:
        """Anything that need not be there must not be."""
        good = request(Request.NEXT, 2)
        for at, kind in (
            (0, errors.BadFrame),
            (1, errors.WrongFetchVersion),
            (2, errors.BadFrame),
            (3, errors.BadFrame),
            (16, errors.BadFrame),
            (48, errors.BadFrame),
            (112, errors.BadFrame),
            (127, errors.BadFrame),
        ):
            wrong = bytearray(good)
            wrong[at] ^= 0x80
            self.assertRaises(kind, parse_request, bytes(wrong))
        self.assertRaises(errors.BadFrame, parse_request, request(Request.OPEN, 1, 5))

    def test_any(self) -> None:
        """Any octets are a request that would be written so, or a named error."""

        @given(st.binary(min_size=REQUEST_LENGTH, max_size=REQUEST_LENGTH))
        def check(octets: bytes) -> None:
            try:
                asked = parse_request(b"\x02\x01\0\0" + octets[4:16] + bytes(112))
            except MixminionError:
                self.fail("this one is good")
            self.assertEqual(asked.kind, Request.NEXT)
            try:
                parse_request(octets)
            except errors.SessionError as error:
                self.assertIn(error.code, {"bad-frame", "wrong-fetch-version"})

        check()


class AnswerTests(SyncTestCase):
    def test_again(self) -> None:
        """What is read is what was written, whatever fits a frame."""

        @given(
            st.integers(1, 2**64 - 1),
            st.one_of(st.none(), st.binary(min_size=16, max_size=16)),
            st.binary(max_size=LENGTH - HEADER_LENGTH),
            st.integers(0, 10),
            st.integers(0, 10),
        )
        def check(item: int, handle: bytes | None, piece: bytes, before: int, after: int) -> None:
            if len(piece) < LENGTH - HEADER_LENGTH:
                after = 0
            if not piece:
                before = after = 0
            frame = Answer(
                Kind.PIECE,
                7,
                item=item,
                length=before + len(piece) + after,
                offset=before,
                handle=handle,
                octets=piece,
            )
            self.assertEqual(parse_answer(answer(frame, LENGTH)), frame)

        check()

    def test_refused(self) -> None:
        """Each field that is wrong."""
        for text, at, value, kind in (
            (PIECE, 0, 0, errors.BadFrame),
            (PIECE, 0, 4, errors.BadFrame),
            (PIECE, 1, 2, errors.BadFrame),
            (PIECE, 1, 0, errors.BadFrame),
            (PIECE, 3, 2, errors.WrongFetchVersion),
            (PIECE, 19, 3, errors.BadFrame),
            (PIECE, 19, 4, errors.BadFrame),
            (PIECE, 19, 19, errors.BadFrame),
            (EMPTY, 1, 1, errors.BadFrame),
            (EMPTY, 8, 1, errors.BadFrame),
            (EMPTY, 63, 1, errors.BadFrame),
            (CLOSED, 1, 0, errors.BadFrame),
            (CLOSED, 1, 8, errors.BadFrame),
            (CLOSED, 15, 1, errors.BadFrame),
            (CLOSED, 32, 1, errors.BadFrame),
        ):
            wrong = bytearray(unhex(text))
            wrong[at] = value
            self.assertRaises(kind, parse_answer, bytes(wrong))
        nothing = bytearray(unhex(PIECE))
        nothing[8:16] = bytes(8)
        self.assertRaises(errors.BadFrame, parse_answer, bytes(nothing))
