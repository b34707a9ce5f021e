"""What can be wrong with a payload: the peer's fault, or the user's wish to send too much."""

from __future__ import annotations

from enum import StrEnum

from mixminion.errors import EX_DATAERR, PeerError, UserError


class Problem(StrEnum):
    """Why a frame or message is refused (doc/spec/payload.rst)."""

    SHORT = "short"  #: it ends before it should
    VERSION = "version"
    KIND = "kind"  #: an unknown kind
    ZEROS = "zeros"  #: octets that must be zero are not
    LENGTH = "length"  #: the content runs past its place
    EXIT = "exit"  #: not an exit name
    RECIPIENT = "recipient"  #: not a recipient
    CODING = "coding"  #: an unknown coding of fragments
    BLOCK = "block"  #: a fragment of a block that its message does not have
    SIZE = "size"  #: it says that it expands to more than it may
    BLOCKS = "blocks"  #: no reply blocks for a receipt where they should be, or too many
    RECEIPT = "receipt"  #: it is no receipt
    DEFLATE = "deflate"  #: it does not expand, or not to what it says


class BadPayload(PeerError):
    """Octets that are no frame or message; ``problem`` says why."""

    code = "bad-payload"
    sentence = "What arrived follows no known form ({problem})."

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem=problem)
        self.problem = problem


class TooLarge(UserError):
    """A message that does not fit one packet; sizes in octets."""

    code = "message-too-large"
    sentence = (
        "The message has {size} octets; one packet carries {limit} to these recipients. "
        "Make it shorter or send it in parts."
    )
    exit_code = EX_DATAERR


class BadCapability(UserError):
    """A text that is no capability of a mailbox."""

    code = "bad-capability"
    sentence = "A mailbox's capability has 43 letters, digits, - and _, as its owner gave them out."


class BadKey(UserError):
    """Octets that are no public key; ``why``."""

    code = "bad-key"
    sentence = "The key cannot be used: {why}. Ask its owner for it once more."
    exit_code = EX_DATAERR
