"""A composed message, encrypted to its recipient's key and of a length that tells little
(doc/spec/sealed.rst)."""

from __future__ import annotations

from mixminion.client import keys as keys_of
from mixminion.client import packets
from mixminion.client.addresses import NEWS_EXIT, Address
from mixminion.client.compose import Composed
from mixminion.client.key_errors import EncryptedToSeveral
from mixminion.client.keys import Keys
from mixminion.client.progress import Encrypted, Progress
from mixminion.directory.view import View
from mixminion.mail import fields
from mixminion.mail.data import canonical
from mixminion.mail.fields import Field
from mixminion.payload import message, public_key, sealed
from mixminion.util import armor

SUBJECT = "Encrypted message"
"""Of every encrypted mail: the real one is inside."""

_LINE = 48  #: octets in a line of armor
_DEFLATED = 52
"""Octets that such a line takes in a packet, once it is deflated: 50.3 at most of 200 messages of
one packet, 50.2 of large ones."""
_REST = 256  #: octets of a deflated mail besides its header and such lines


async def key_for(
    keys: Keys, to: Address, address: str, given: bytes | None, progress: Progress
) -> bytes:
    """The public key for a message to *to*, written *address*: the one *given*, or the one that
    is trusted for it.

    :raises EncryptedToSeveral: there are several recipients.
    :raises NoKey: no key is trusted.
    :raises BadKey: nothing can be encrypted to the one that is given.
    """
    if len(to.recipients) > 1 and to.exit != NEWS_EXIT:
        raise EncryptedToSeveral
    if given is not None:
        public_key.check(given)
        progress(Encrypted(None, keys_of.fingerprint(given), verified=False, changed=False))
        return given
    key = await keys.get(address)
    progress(Encrypted(key.address, key.fingerprint, key.verified, key.offered is not None))
    return key.public


def seal(view: View, to: Address, composed: Composed, public: bytes) -> Composed:
    """*composed* for *to* as the exit gets it: octets, or a mail that shows nothing but its
    recipient.
    """
    front = len(message.encode(to.exit, to.recipients, b""))
    room = packets.piece_length(view)
    if not to.mail:
        sizes = (steps * room - front for steps in sealed.steps())
        return Composed((sealed.seal(public, composed.content, sizes),), composed.left_out)
    header = _header(to)
    front += len(header) + _REST
    sizes = ((steps * room - front) // _DEFLATED * _LINE for steps in sealed.steps())
    octets = sealed.seal(public, composed.content, sizes, sealed.Kind.MAIL)
    text = armor.encode(sealed.ARMOR, {}, octets)
    return Composed((header, canonical(text.encode("ascii"))), composed.left_out)


def _header(to: Address) -> bytes:
    made = [Field("To", to.recipients[0])] if "@" in to.recipients[0] else []
    made += [
        Field("Subject", SUBJECT),
        Field("MIME-Version", "1.0"),
        Field("Content-Type", "text/plain; charset=us-ascii"),
        Field("Content-Transfer-Encoding", "7bit"),
    ]
    return fields.join(made, b"")
