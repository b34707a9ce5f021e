"""The few mails that an exit writes itself."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from mixminion.crypto import kdf
from mixminion.exits.marks import OPT_OUT
from mixminion.mail import lists, transfer
from mixminion.mail.compose import Mail
from mixminion.mail.data import canonical, has_long_line
from mixminion.mail.fields import Field


def confirmation(domain: str, recipient: str, token: str, text: str, now: float) -> Mail:
    """Asks whether *recipient* wants no more mail; an answer has *token* in its subject."""
    fields = [
        Field("From", f"No more mail <{OPT_OUT}@{domain}>"),
        Field("To", recipient),
        Field("Subject", f"Confirm: {token}"),
        Field("Auto-Submitted", "auto-replied"),
    ]
    return _mail(fields, canonical(text.encode()), "text/plain; charset=utf-8", domain, now)


def passed_on(office: str, domain: str, contact: str, octets: bytes, now: float) -> Mail:
    """A mail to an office of *domain*, enclosed in one to *contact*."""
    fields = [
        Field("From", f"Mixminion exit <{office}@{domain}>"),
        Field("To", contact),
        Field("Subject", f"Mail for {office}@{domain}"),
        Field("Auto-Submitted", "auto-generated"),
    ]
    enclosed = canonical(octets)
    if enclosed.isascii() and b"\0" not in enclosed and not has_long_line(enclosed):
        return _mail(fields, enclosed, "message/rfc822", domain, now)
    # What is enclosed as a message may not be encoded (RFC 2046, 5.2.1); a file may.
    fields.append(Field("Content-Disposition", 'attachment; filename="complaint.eml"'))
    return _mail(fields, enclosed, "application/octet-stream", domain, now, "base64")


def _mail(
    fields: list[Field], body: bytes, kind: str, domain: str, now: float, encoding: str = ""
) -> Mail:
    if not encoding:
        encoding, body = ("7bit", body) if body.isascii() else transfer.plainest(body)
    else:
        body = transfer.encode(body, encoding)
    name = kdf.sha256(body + str(now).encode() + str(fields).encode())[:16].hex()
    made = [
        *fields,
        Field("Date", format_datetime(datetime.fromtimestamp(int(now), UTC))),
        Field("Message-ID", f"<{name}@{domain}>"),
        Field("MIME-Version", "1.0"),
        Field("Content-Type", kind),
        Field("Content-Transfer-Encoding", encoding),
    ]
    return Mail(lists.arrange(made), body)
