"""What the operator of an exit lets senders say of themselves, and what stands in for it."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import getaddresses

from mixminion.mail import address, fields, words
from mixminion.mail.errors import BadAddress, BadField, MailError
from mixminion.mail.fields import Field

LONGEST_NAME = 64
NOWHERE = "anonymous@mixminion.invalid"
"""The address that a client puts beside a name in From: exits look at the name alone."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one exit.  Without arguments: nothing of the sender's own passes, nothing
    is added."""

    names: bool = False  #: whether a name in the sender's From is shown
    reply_to: bool = False  #: whether the sender's Reply-To is passed on
    default_reply_to: str = ""  #: the Reply-To of a mail that has no other
    default_subject: str = ""  #: the Subject of a mail that has none
    footer: str = ""  #: lines added below each mail (:mod:`mixminion.mail.footer`)

    def sender(self, own: str, written: Field | None) -> Field:
        """From: the mailbox *own*, under the name in the sender's own From if names are shown;
        raises BadField."""
        name = "" if written is None or not self.names else name_in(written)
        if not name:
            return Field("From", own)
        return Field("From", words.mailbox(name, str(address.parse_mailbox(own).address)))

    def answers(self, written: Field | None) -> Field | None:
        """Reply-To, an address without a name; raises BadField."""
        if written is not None and self.reply_to:
            return answer_address(written)
        return Field("Reply-To", self.default_reply_to) if self.default_reply_to else None


PERMISSIONS = {"from": "allow-from", "reply-to": "allow-reply-to"}
"""What an exit publishes of its policy, by the fields it is about."""


def asked(content: bytes) -> frozenset[str]:
    """Which of :data:`PERMISSIONS` a sender's message asks for; none where it is no mail."""
    try:
        written, _ = fields.read(content[: fields.MOST_HEADER + 4])  # which may be large
    except MailError:
        return frozenset()
    names = {each.name.lower() for each in written}
    return frozenset(word for name, word in PERMISSIONS.items() if name in names)


def name_in(field: Field) -> str:
    """The name beside the address of a From field; empty when there is none.

    :raises BadField: there are several addresses, or a name that is too long or looks like an
        address.
    """
    try:
        found = getaddresses([field.value])
    except RecursionError:  # comments within comments
        found = []
    if len(found) != 1:
        raise BadField(name=field.name, why="it is not one name and one address")
    name = words.decode(found[0][0])
    if name is None or not name.isprintable() or set(name) & set('@<>"'):
        raise BadField(name=field.name, why="its name has characters that a name does not need")
    if len(name) > LONGEST_NAME:
        raise BadField(name=field.name, why=f"its name has more than {LONGEST_NAME} characters")
    return name


def answer_address(field: Field) -> Field:
    """A Reply-To with its one address alone; raises BadField."""
    try:
        return Field("Reply-To", str(address.parse_mailbox(field.value).address))
    except BadAddress as error:
        raise BadField(name=field.name, why=error.fields["why"]) from None
