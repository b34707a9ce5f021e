"""What stands for a recipient in links and in the addresses that bounces come to.

A token is the entry (:mod:`mixminion.exits.blocking`) that its recipient would have on the list,
sealed: no table says who got mail, nobody without the secret makes one or reads anything in it,
and all have one length.  A link's differ from mail to mail, and are the same when one mail is
handed over again.
"""

from __future__ import annotations

import re
from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode

from mixminion.crypto import kdf, siv
from mixminion.crypto.aead import Forged
from mixminion.exits.blocking import DAY, ENTRY

LINK = 56  #: characters of a link's token
BOUNCE = 55  #: characters of a bounce address' token, in small letters and digits
LONGEST_BOUNCE = 14
"""Days after a mail in which its bounces are believed."""

_SALT = 10
_DATE = 2
_LINK = re.compile(rf"[A-Za-z0-9_-]{{{LINK}}}", re.ASCII)
_BOUNCE = re.compile(rf"[a-z2-7]{{{BOUNCE}}}", re.ASCII)


class Tokens:
    """The tokens under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._salt = kdf.hkdf_expand(secret, b"mixminion token salt", 32)
        self._siv = siv.Siv(kdf.hkdf_expand(secret, b"mixminion tokens", siv.KEY))

    def link(self, entry: bytes, message_id: str) -> str:
        """For the mail *message_id* to the recipient of *entry*; :data:`LINK` characters that
        a URL and a subject take as they are."""
        salt = kdf.hmac_sha256(self._salt, entry + message_id.encode())[:_SALT]
        return urlsafe_b64encode(self._siv.seal(salt + entry, b"link")).decode("ascii")

    def from_link(self, token: str) -> bytes:
        """The entry; raises :class:`~mixminion.crypto.aead.Forged`."""
        if not _LINK.fullmatch(token):
            raise Forged
        return self._siv.open(urlsafe_b64decode(token), b"link")[_SALT:]

    def bounce(self, entry: bytes, now: float) -> str:
        """For what comes back of a mail of that day; :data:`BOUNCE` characters in which capital
        letters make no difference."""
        date = (int(now) // DAY).to_bytes(_DATE)
        sealed = self._siv.seal(date + entry, b"bounce")
        return b32encode(sealed).decode("ascii").rstrip("=").lower()

    def from_bounce(self, token: str, now: float) -> bytes:
        """The entry; raises :class:`~mixminion.crypto.aead.Forged`, also for one that is older
        than :data:`LONGEST_BOUNCE` days."""
        if not _BOUNCE.fullmatch(token.lower()):
            raise Forged
        opened = self._siv.open(b32decode(token.upper() + "="), b"bounce")
        age = int(now) // DAY - int.from_bytes(opened[:_DATE])
        if not 0 <= age <= LONGEST_BOUNCE:
            raise Forged
        assert len(opened) == _DATE + ENTRY
        return opened[_DATE:]
