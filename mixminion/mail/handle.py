"""A reply as a mail with an attachment, its handle in a header field of its own.

No sender can give a mail this field: exits remove it (:mod:`mixminion.mail.compose`).
"""

from __future__ import annotations

import base64

from mixminion.mail import compose
from mixminion.mail.compose import Mail
from mixminion.mail.data import canonical
from mixminion.mail.fields import Field

FIELD = "Mixminion-SURB-ID"
FILENAME = "reply.mixminion"


def attached(
    payload: bytes, surb_id: bytes, *, sender: str, recipient: str, message_id: str, date: int
) -> Mail:
    """The mail that brings a reply's sealed *payload* as octets; arguments as for
    :func:`mixminion.mail.compose.reply`, whose other fields it has."""
    armored = compose.reply(
        payload, surb_id, sender=sender, recipient=recipient, message_id=message_id, date=date
    )
    own = (
        Field(FIELD, surb_id.hex()),
        Field("MIME-Version", "1.0"),
        Field("Content-Type", "application/octet-stream"),
        Field("Content-Transfer-Encoding", "base64"),
        Field("Content-Disposition", f'attachment; filename="{FILENAME}"'),
    )
    kept = [field for field in armored.fields if not _of_mime(field)]
    return Mail((*kept, *own), canonical(base64.encodebytes(payload)))


def _of_mime(field: Field) -> bool:
    return field.name.lower().startswith(("content-", "mime-"))
