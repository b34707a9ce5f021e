"""The forms in which local users get their mail: as it is (MIME), or as armored text.

Armored, a mail shows nothing of what the sender wrote until it is decoded, and a reply's
handle is a header of the armor.  As MIME, mail is what the exit for mail would send, and a
reply's handle is a field of its own (:mod:`mixminion.mail.handle`).  Forward mail has no handle.
"""

from __future__ import annotations

from mixminion.exits.mbox_users import MIME
from mixminion.interfaces import Message
from mixminion.mail import compose, handle
from mixminion.mail.compose import STRICT, Mail
from mixminion.mail.policy import Policy
from mixminion.util import armor

MESSAGE_KIND = "MIXMINION MESSAGE"

_ARMORED = (
    b"Subject: An anonymous message\r\n"
    b"Content-Type: text/plain; charset=us-ascii\r\n"
    b"Content-Transfer-Encoding: 7bit\r\n\r\n"
)


def compose_for(
    message: Message, form: str, *, sender: str, recipient: str, policy: Policy
) -> Mail:
    """*message* as a mail to *recipient* in *form*.  Of armored text *policy* shows nothing.

    :raises mixminion.mail.errors.MailError: it is none, whatever the form.
    """
    if message.surb_id is not None:
        make = handle.attached if form == MIME else compose.reply
        return make(
            message.content,
            message.surb_id,
            sender=sender,
            recipient=recipient,
            message_id=message.message_id,
            date=message.date,
        )
    content = message.content
    if form != MIME:
        policy = STRICT
        content = _ARMORED + armor.encode(MESSAGE_KIND, {}, content).encode("ascii")
    return compose.outgoing(
        content,
        sender=sender,
        recipients=(recipient,),
        message_id=message.message_id,
        date=message.date,
        policy=policy,
    )
