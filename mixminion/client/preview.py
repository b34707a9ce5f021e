"""What would be sent, before anything is: the mail as it arrives, and what it takes."""

from __future__ import annotations

from dataclasses import dataclass

from mixminion.client import counting, giveaways, packets
from mixminion.client.compose import Composed
from mixminion.client.giveaways import Remark
from mixminion.client.large import SLOWER
from mixminion.client.packets import Letter
from mixminion.client.recipients import Recipients
from mixminion.directory.view import View
from mixminion.interfaces import Random
from mixminion.mail import compose, fields
from mixminion.mail.policy import Policy
from mixminion.paths.preferences import Preferences
from mixminion.paths.select import choose

EXIT = "Anonymous <anonymous@exit.invalid>"
"""Who a mail is from, in a preview: the exit says it, and has not been chosen yet."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A message that is not sent."""

    exit: str
    recipients: tuple[str, ...]
    hidden: tuple[str, ...]  #: those of them that the mail does not show
    arrives: bytes  #: what the recipient gets; of a mail the exit's own fields are made up
    mail: bool  #: whether that is a mail
    encrypted: bool  #: it arrives sealed, and this is what is inside
    left_out: tuple[str, ...]  #: names of header fields that stay here
    remarks: tuple[Remark, ...]
    size: int  #: octets for the exit, of a mail with its header
    packets: int
    needed: int
    limit: int  #: of packets, for messages without a switch
    hops: int
    delay: float  #: seconds until it arrives, on average, from the first server on


def look(
    view: View,
    everybody: Recipients,
    composed: Composed,
    letter: Letter,
    copies: int,
    now: float,
    random: Random,
    preferences: Preferences,
) -> Preview:
    """*letter* as it would leave at *now*; *composed* is its content before it is encrypted.

    :raises MixminionError: it could not be sent.
    """
    counted = counting.count(view, letter, copies, now, random)
    several = counted.packets > 1
    exit = packets.requirement(letter, fragments=several)
    spec = packets.spec(letter.path)
    choice = choose(view, spec, exit, now=now, random=random, preferences=preferences)
    hops = len(choice.path)
    to = everybody.address
    return Preview(
        exit=to.exit,
        recipients=to.recipients,
        hidden=tuple(
            each for each in to.recipients if to.mail and each not in everybody.to + everybody.cc
        ),
        arrives=_arrives(everybody, composed, now),
        mail=to.mail,
        encrypted=letter.parts != composed.parts,
        left_out=composed.left_out,
        remarks=_remarks(everybody, composed),
        size=counted.size,
        packets=counted.packets,
        needed=counted.needed,
        limit=counted.limit,
        hops=hops,
        delay=hops * view.parameters.mean_delay * (SLOWER if several else 1),
    )


def _arrives(everybody: Recipients, composed: Composed, now: float) -> bytes:
    if not everybody.address.mail:
        return composed.content
    return compose.outgoing(
        composed.content,
        sender=EXIT,
        recipients=everybody.address.recipients,
        message_id="<made-by-the-exit@exit.invalid>",
        date=int(now),
        policy=Policy(names=True, reply_to=True),
    ).octets()


def _remarks(everybody: Recipients, composed: Composed) -> tuple[Remark, ...]:
    if everybody.address.mail:
        return tuple(giveaways.in_mail(*fields.split(composed.content)))
    return tuple(giveaways.in_text(composed.content.decode("utf-8", "replace")))
