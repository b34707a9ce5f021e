"""The content of a message: plain text as people type it, or a whole one of a mail program.

A message for mail leaves with only the header fields that an exit lets pass: every other
one would tell the exit about its sender.  What an exit would refuse is refused here, before
anything is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mixminion.client import attaching
from mixminion.client.addresses import MAIL_EXIT, Address
from mixminion.client.errors import BadName, BadSubject, NoHeader, NotText
from mixminion.client.recipients import Recipients
from mixminion.mail import address as mail_address
from mixminion.mail import compose, fields, lists, policy, transfer, words
from mixminion.mail.data import canonical
from mixminion.mail.errors import BadField
from mixminion.mail.fields import Field

_TELLING = frozenset({"from", "reply-to"})
"""Fields that may leave and say who wrote: only when the sender asks for it, since mail
programs put them into everything."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the recipient is told of the sender, if the exit's policy lets it pass: a *name*
    beside the exit's own address in From, and an address for Reply-To."""

    name: str | None = None
    reply_to: str | None = None

    def fields(self) -> list[Field]:
        """From and Reply-To.

        :raises BadName: the name cannot stand there.
        :raises mixminion.mail.errors.BadAddress: Reply-To is no address.
        """
        made = []
        if self.name is not None:
            try:
                field = Field("From", words.mailbox(self.name, policy.NOWHERE))
                policy.name_in(field)
            except BadField as error:
                raise BadName(why=error.fields["why"]) from None
            made.append(field)
        if self.reply_to is not None:
            made.append(Field("Reply-To", str(mail_address.parse(self.reply_to))))
        return made


NOBODY = Shown()


@dataclass(frozen=True, slots=True)
class Composed:
    """What the exit gets, and the names of the header fields that were left out of it."""

    parts: tuple[bytes, ...]  #: of the content, so that a large body is not copied behind a header
    left_out: tuple[str, ...] = ()

    @property
    def content(self) -> bytes:
        """All of it."""
        return b"".join(self.parts)


def compose_for(
    everybody: Recipients,
    content: bytes,
    subject: str | None = None,
    *,
    shown: Shown = NOBODY,
    whole: bool = False,
    blocks: str = "",
) -> Composed:
    """*content* for everybody: a text, or a *whole* mail; with armored reply *blocks* in it."""
    if whole:
        return from_message(everybody.address, content, shown=shown, blocks=blocks)
    text = attaching.to_octets(content, blocks) if blocks else content
    named = {"to": everybody.to, "cc": everybody.cc}
    return from_text(everybody.address, text, subject, shown=shown, **named)


def from_text(
    address: Address,
    body: bytes,
    subject: str | None = None,
    *,
    shown: Shown = NOBODY,
    to: Sequence[str] = (),
    cc: Sequence[str] = (),
) -> Composed:
    """*body* as a mail of plain text; for an exit that does not take mail, as it is.

    *to* and *cc* are the addresses that the mail shows; without them it shows the one
    recipient, or none of several.

    :raises NotText: *body* is for mail and not UTF-8.
    :raises BadSubject: the subject has control characters in it.
    :raises BadName: the name shown cannot be shown.
    :raises NoHeader: there is something for a header, and no mail to carry it.
    """
    if not address.mail:
        if subject is not None or shown != NOBODY or to or cc:
            raise NoHeader(exit=address.exit)
        return Composed((body,))
    if not to and not cc and len(address.recipients) == 1 and "@" in address.recipients[0]:
        to = address.recipients
    made = shown.fields()
    made += [Field(name, ", ".join(names)) for name, names in (("To", to), ("Cc", cc)) if names]
    if subject is not None:
        made.append(Field("Subject", _subject(subject)))
    made += [Field("MIME-Version", "1.0"), Field("Content-Type", "text/plain; charset=utf-8")]
    made, encoded = _encode(made, body)
    return Composed((fields.join(made, b""), encoded))


def from_message(
    address: Address, message: bytes, *, shown: Shown = NOBODY, blocks: str = ""
) -> Composed:
    """A whole RFC 5322 message; the body keeps its octets, but for line ends and armored reply
    *blocks* that are put into it.

    From and Reply-To of the message are left out; what is *shown* stands in their place.

    :raises MailError: it is no message, or one that no exit for mail would take.
    :raises BadName: the name shown cannot be shown.
    :raises NoHeader: the address does not take mail.
    :raises SignedMail: nothing can be put into it.
    """
    if not address.mail:
        raise NoHeader(exit=address.exit)
    written, body = fields.read(_without_separator(message))
    left_out = dict.fromkeys(
        raw.name
        for raw in written
        if raw.name.lower() in _TELLING or lists.fate(raw.name) is lists.Fate.REMOVED
    )
    passing = [raw for raw in written if raw.name.lower() not in _TELLING]
    made = [*shown.fields(), *lists.sort(passing, words.seven_bit).kept.values()]
    kept: Sequence[Field] = [
        normal for field in made if (normal := compose.normal(field)) is not None
    ]
    if blocks:
        kept, body = attaching.to_mail(kept, body, blocks)
    transfer.fit(kept, body)  # raises what an exit would
    return Composed((fields.join(kept, b""), body), tuple(left_out))


def reply(
    content: bytes, subject: str | None = None, *, whole: bool = False, blocks: str = ""
) -> Composed:
    """An answer, with armored reply *blocks* in it: a mail of plain text when it has a *subject*,
    a mail as it is when *whole*, else *content* as it is.  Raises what :func:`from_text` and
    :func:`from_message` do."""
    mail = Address(MAIL_EXIT, (), mail=True)
    if whole:
        return from_message(mail, content, blocks=blocks)
    text = attaching.to_octets(content, blocks) if blocks else content
    return Composed((text,)) if subject is None else from_text(mail, text, subject)


def _without_separator(message: bytes) -> bytes:
    """*message* without the line ``From ...`` above it that mail folders and git have."""
    if message.startswith(b"From "):
        return message.partition(b"\n")[2]
    return message


def _subject(subject: str) -> str:
    """*subject* as a field's value: as it is, or in encoded words (RFC 2047)."""
    if not subject.isprintable():
        raise BadSubject
    return words.encode(subject)


def _encode(made: list[Field], body: bytes) -> tuple[list[Field], bytes]:
    """The plainest transfer encoding that carries *body* (RFC 2045 6), and the body in it."""
    try:
        ascii_only = body.decode("utf-8").isascii()
    except UnicodeDecodeError as error:
        raise NotText(position=error.start) from None
    lines = canonical(body)
    bits = "7bit" if ascii_only else "8bit"
    if transfer.must_encode(lines):
        bits, lines = transfer.plainest(lines)
    return [*made, Field("Content-Transfer-Encoding", bits)], lines
