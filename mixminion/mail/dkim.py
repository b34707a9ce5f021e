"""Signatures over mails that leave (RFC 6376): which fields, in which form, in which order.

Header ``relaxed``, body ``simple``: fields are folded anew on the way, bodies are not touched
by what carries mail, and a large body is hashed as it is.  What signs is an argument.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Protocol

from mixminion.mail.compose import Mail
from mixminion.mail.fields import Field

NAME = "DKIM-Signature"

ALWAYS = (
    *("From", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID"),
    *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
)
"""Signed once more than they stand there, so that nobody adds another."""

IF_PRESENT = ("In-Reply-To", "References", "List-Unsubscribe", "List-Unsubscribe-Post")
"""Signed where they stand, and then just as often once more."""

_LINE = 64


class Signer(Protocol):
    """One key, and where the world finds its other half."""

    @property
    def algorithm(self) -> str:
        """The name in the tag ``a``."""

    @property
    def domain(self) -> str:
        """The tag ``d``."""

    @property
    def selector(self) -> str:
        """The tag ``s``."""

    def sign(self, octets: bytes) -> bytes:
        """The signature for the tag ``b``; *octets* are not hashed yet."""


def sign(mail: Mail, signers: Iterable[Signer]) -> Mail:
    """The same mail with one signature of each signer on top, in their order.  The same mail
    gets the same signatures each time where the keys' algorithms draw nothing."""
    names = _signed(mail.fields)
    data = b"".join(_relaxed(field) + b"\r\n" for field in _covered(mail.fields, names))
    digest = b64encode(hashlib.sha256(_simple(mail.body)).digest()).decode()
    made = [_signature(signer, names, data, digest) for signer in signers]
    return Mail((*made, *mail.fields), mail.body)


def _signature(signer: Signer, names: Sequence[str], data: bytes, digest: str) -> Field:
    tags = (
        f"v=1; a={signer.algorithm}; c=relaxed/simple; d={signer.domain}; s={signer.selector};"
        f" h={': '.join(names)}; bh={digest}; b="
    )
    octets = signer.sign(data + _relaxed(Field(NAME, tags)))
    written = b64encode(octets).decode()
    # Blanks, at which the field is folded, are no part of base64's value here.
    lines = [written[at : at + _LINE] for at in range(0, len(written), _LINE)]
    return Field(NAME, tags + " ".join(lines))


def _signed(fields: Sequence[Field]) -> list[str]:
    """The names for the tag ``h``."""
    present = [field.name.lower() for field in fields]
    names: list[str] = []
    for name in (*ALWAYS, *IF_PRESENT):
        times = present.count(name.lower())
        if times or name in ALWAYS:
            names += [name] * (times + 1)
    return names


def _covered(fields: Sequence[Field], names: Sequence[str]) -> list[Field]:
    """The fields behind *names*: each name takes the lowest one that is left, or none."""
    left = list(reversed(fields))
    found = []
    for name in names:
        field = next((each for each in left if each.name.lower() == name.lower()), None)
        if field is not None:
            left.remove(field)
            found.append(field)
    return found


def _relaxed(field: Field) -> bytes:
    value = re.sub(r"[ \t]+", " ", field.value).strip(" ")
    return f"{field.name.lower()}:{value}".encode("ascii")


def _simple(body: bytes) -> bytes:
    """Without empty lines at its end; one line end where nothing is left."""
    end = len(body)
    while body.endswith(b"\r\n\r\n", 0, end):
        end -= 2
    return body[:end] or b"\r\n"
