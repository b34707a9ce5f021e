"""What can go wrong with answers, sent and received, each with the sentence that people read."""

from __future__ import annotations

from mixminion.client.errors import NotHandedOver
from mixminion.errors import EX_DATAERR, EX_UNAVAILABLE, UserError

# -- answering -----------------------------------------------------------------------------


class NoBlocks(UserError):
    """A file that should hold reply blocks has none."""

    code = "no-reply-blocks"
    sentence = "There is no reply block in {name}; give the message that brought one, whole."
    exit_code = EX_DATAERR


class NoUsableBlock(UserError):
    """None of the reply blocks can be used.  Fields: ``count``, and ``why`` for each."""

    code = "no-usable-reply-block"
    sentence = (
        "None of the reply blocks can be used now ({why}). Ask for new ones by another way, or wait"
        " for the date of one that is not usable yet."
    )
    exit_code = EX_DATAERR


class TooFewBlocks(UserError):
    """An answer that takes more reply blocks than there are.  Fields: ``size`` of the answer in
    octets, ``needed`` and ``usable`` reply blocks, ``limit`` of octets that one carries."""

    code = "too-few-reply-blocks"
    sentence = (
        "The answer has {size:,} octets and takes {needed} reply blocks, of which {usable} can be"
        " used; one carries {limit:,}. Make it shorter, or ask for more reply blocks in it."
    )
    exit_code = EX_DATAERR


class BlockTaken(UserError):
    """Another process used a reply block at the same moment."""

    code = "reply-block-taken"
    sentence = (
        "One of the reply blocks was used by another command meanwhile, and nothing was sent;"
        " answer again, with those that are left."
    )


class BlockOver(NotHandedOver):
    """A kept answer whose reply block's time is over."""

    code = "reply-block-over"
    sentence = (
        "Not sent: {entry} never took the answer, and the time of its reply block is over ({why})."
        " Answer with another reply block, and delete this one with `mixminion queue clean`."
    )


class CrossesAtFirst(UserError):
    """A path that ends where the way back begins."""

    code = "path-ends-at-first"
    sentence = (
        "The path ends at {name}, which is the first server of the reply block as well; let it end"
        " at another."
    )


# -- reading what came ---------------------------------------------------------------------


class NothingToDecode(UserError):
    """An input in which there is nothing."""

    code = "nothing-to-decode"
    sentence = "{name} is empty; give a mail, or a file that a mailbox brought."
    exit_code = EX_DATAERR


class UnknownBlock(UserError):
    """A reply to a reply block that is not here."""

    code = "unknown-reply-block"
    sentence = (
        "The answer belongs to a reply block ({handle}) of which nothing is known here: it is of"
        " another home, or expired, or was deleted; a copy that was exported can be imported."
    )
    exit_code = EX_DATAERR


class OfAnotherIdentity(UserError):
    """A reply for another identity than the one that was named."""

    code = "of-another-identity"
    sentence = "The answer is for the identity {name!r}; read it with --identity {name}."
    exit_code = EX_DATAERR


class DamagedReply(UserError):
    """A reply that does not open."""

    code = "damaged-reply"
    sentence = (
        "The answer to reply block {handle} does not open: it was changed on its way, or is cut"
        " off. Decode the whole file as it came; else only whoever answered can send it again."
    )
    exit_code = EX_DATAERR


class TooMuch(UserError):
    """What would have more octets than allowed once it is opened."""

    code = "expands-too-far"
    sentence = (
        "What came says of itself that it has more than {limit:,} octets once it is expanded, and"
        " was left alone; if you expect so much, allow it with --max-size."
    )
    exit_code = EX_DATAERR


class Undecodable(UserError):
    """Something that follows none of our forms though it claims one.  Field: ``why``."""

    code = "undecodable"
    sentence = "What came cannot be read ({why}); decode the whole of it as it came."
    exit_code = EX_DATAERR


class NoSuchReply(UserError):
    """No reply in parts has that number."""

    code = "no-such-reply"
    sentence = "There is no reply in parts {number}; `mixminion fragments list` shows them."


class PartsLacking(UserError):
    """A reply in parts is not complete."""

    code = "parts-lacking"
    sentence = (
        "Of reply {number} {lacking} more parts have to come; fetch from your mailboxes, or decode"
        " the mails that bring them."
    )
    exit_code = EX_UNAVAILABLE
