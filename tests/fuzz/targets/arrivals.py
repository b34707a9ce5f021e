"""What comes back to a client: files with mails, armored answers, reply blocks."""

from __future__ import annotations

from mixminion.client import arrived, blocks_text, opening
from mixminion.client.arrived import Damaged, Plain, Sealed
from mixminion.mail import compose, handle
from mixminion.util import armor
from mixminion.util.armor import BadArmor
from tests.fuzz import mutators
from tests.fuzz.driver import Subject, Target

_HANDLE = bytes(range(16))
_WORDS = (
    b"-----BEGIN MIXMINION REPLY-----\n", b"-----END MIXMINION REPLY-----\n", b"SURB-ID: ", b"\n\n",
    b"-----BEGIN MIXMINION MESSAGE-----\n", b"-----END MIXMINION MESSAGE-----\n", b"\r\n\r\n",
    b"Mixminion-SURB-ID: ", b"Content-Transfer-Encoding: base64\n", b"\nFrom x\n", b"Date: ", b">",
    b"Content-Type: multipart/mixed; boundary=b\n\n", b"--b\n", b"00" * 16, b"Thu, 1 Jan 1970 ",
)  # fmt: skip


def _corpus() -> list[bytes]:
    options = {"sender": "x@mix.example", "recipient": "a@b.example", "message_id": "<1@x>"}
    mails = [
        make(b"sealed" * 20, _HANDLE, date=1_800_000_000, **options).octets()
        for make in (compose.reply, handle.attached)
    ]
    message = armor.encode(arrived.MESSAGE_KIND, {}, b"Subject: x\r\n\r\nHello").encode()
    folder = b"\n".join(b"From x\n" + each.replace(b"\r\n", b"\n") for each in [*mails, message])
    parts = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + message + b"\r\n--b--\r\n"
    )
    return [*mails, message, folder, parts, b"Hello\n", b""]


def _arrived() -> Subject:
    """Reading a file invents nothing: what is in none of our forms is itself, and what is sealed
    was there."""

    def run(octets: bytes) -> object:
        kinds = []
        for item in arrived.read(octets):
            match item:
                case Sealed():
                    assert len(item.handle) == 16
                    assert item.handle.hex().encode() in octets.lower().replace(b"=\r\n", b"")
                case Plain():
                    assert len(item.content) <= len(octets)
                case Damaged():
                    assert item.error.fields["why"]
            assert item.date is None or item.date >= 0
            kinds.append(type(item).__name__)
        assert kinds
        return tuple(kinds[:3])

    return Subject(run, _corpus())


def _contents() -> Subject:
    """What is looked for in every content: reply blocks and encrypted messages."""
    texts = [armor.encode(kind, {}, bytes(50)) for kind in (blocks_text.KIND, "MIXMINION X")]
    corpus = [*_corpus(), *(text.encode() for text in texts)]

    def run(octets: bytes) -> object:
        return len(blocks_text.find(octets)) > 0, len(opening.find(octets)) > 0

    return Subject(run, corpus)


TARGETS = [
    Target("arrived", _arrived, (), mutators.LINES, _WORDS, 8192),
    Target("content", _contents, (BadArmor,), mutators.LINES, _WORDS, 8192),
]
