"""Where the answers to a reply block go: what people write, and mailboxes of our own."""

from __future__ import annotations

from dataclasses import dataclass

from mixminion.client import addresses
from mixminion.client.addresses import DROP_EXIT
from mixminion.client.identities import Identities, Identity
from mixminion.client.identity_errors import NoAnswerAddress
from mixminion.client.mailbox import EXIT as MAILBOX
from mixminion.client.mailbox import Mailbox, Mailboxes
from mixminion.directory.view import View

OWN = "mailbox"
"""What is written for a mailbox of one's own."""


@dataclass(frozen=True, slots=True)
class AnswerAddress:
    """An exit and what it is given; ``server`` is the nickname of the one that has to be last."""

    text: str
    exit: str
    recipient: str
    server: str | None


def parse(text: str) -> AnswerAddress:
    """Read one.

    :raises BadAddress: it is no address.
    :raises NoAnswerAddress: no answer can arrive there.
    """
    found = addresses.parse(text)
    if found.exit == DROP_EXIT or not found.recipients:
        raise NoAnswerAddress(address=text, why="nothing arrives there")
    if len(found.recipients) > 1:
        raise NoAnswerAddress(address=text, why="a reply block takes one address")
    return AnswerAddress(text, found.exit, found.recipients[0], found.server)


async def find(
    view: View, identities: Identities, mailboxes: Mailboxes, identity: Identity, text: str | None
) -> AnswerAddress:
    """The address that was asked for, or the identity's, or a mailbox of ours: one that no other
    identity uses, whose server is there; made when there is none, and the identity's from now on.

    :raises UserError: what :func:`parse` does; no server has mailboxes.
    """
    wanted = identity.address if text is None else text
    own = await mailboxes.all()
    if wanted not in (None, OWN):
        gone = any(box.address == wanted and not there(view, box) for box in own)
        if text is not None or not gone:
            return parse(wanted)
    others = {each.address for each in await identities.all() if each.id != identity.id}
    free = [box for box in own if box.address not in others and there(view, box)]
    box = free[0] if free else await mailboxes.create(view, None)
    if identity.address is None or text is None:
        await identities.set_address(identity.name, box.address)
    return parse(box.address)


def there(view: View, box: Mailbox) -> bool:
    """Whether the directory lists its server, with mailboxes."""
    server = view.by_identity(box.server)
    return server is not None and server.exit(MAILBOX) is not None
