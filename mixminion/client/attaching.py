"""Reply blocks within the message that is to be answered, so that an answer needs no extra step.

A plain text gets them below it.  A mail of parts gets them as one part more, any other becomes the
first part of one; no octet of what was there changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from mixminion.client.identity_errors import SignedMail
from mixminion.crypto.kdf import sha256
from mixminion.mail import adding, mime
from mixminion.mail.data import canonical
from mixminion.mail.fields import Field

FILENAME = "reply-blocks.txt"

_SEALED = frozenset(
    {
        *("multipart/signed", "multipart/encrypted"),
        *("application/pkcs7-mime", "application/x-pkcs7-mime"),
    }
)


def to_octets(content: bytes, armored: str) -> bytes:
    """*content* of any kind with the *armored* blocks below it."""
    end = b"" if not content or content.endswith(b"\n") else b"\n"
    return content + end + armored.encode("ascii")


def to_mail(header: Sequence[Field], body: bytes, armored: str) -> tuple[Sequence[Field], bytes]:
    """The mail of *header* and canonical *body* with the *armored* blocks in it.

    :raises SignedMail: it is signed or encrypted as a whole, and they would stand outside.
    """
    if mime.walk(header, body).content_type.type in _SEALED:
        raise SignedMail
    blocks = canonical(armored.encode("ascii"))
    written = adding.below(header, body, blocks)
    if written is not None:
        return header, written
    part = [
        Field("Content-Type", f'text/plain; charset=us-ascii; name="{FILENAME}"'),
        Field("Content-Transfer-Encoding", "7bit"),
        Field("Content-Disposition", f'attachment; filename="{FILENAME}"'),
    ]
    written = adding.one_more(header, body, (part, blocks))
    if written is not None:
        return header, written
    boundary = "=_" + sha256(body + blocks)[:12].hex()
    return adding.beside(header, body, (part, blocks), boundary)
