"""What can go wrong with what is kept."""

from __future__ import annotations

from mixminion.client.errors import NotHandedOver
from mixminion.errors import EX_CANTCREAT, EX_DATAERR, UserError


class NothingToCarry(UserError):
    """Nothing is kept that could go into a file."""

    code = "nothing-to-carry"
    sentence = "Nothing of that is kept; `mixminion queue list` shows what is."


class PacketFileThere(UserError):
    """A file that may have packets in it would be replaced."""

    code = "packet-file-there"
    sentence = "There is a file {path} already, which stays as it is; name another."
    exit_code = EX_CANTCREAT


class NotPackets(UserError):
    """A file that should have packets in it."""

    code = "not-packets"
    sentence = "This is no file of packets that could be sent: {why}; export it again."
    exit_code = EX_DATAERR


class NotHandedOverYet(NotHandedOver):
    """The entry did not take a packet; the schedule has it leave at another point."""

    code = "not-sent-yet"
    sentence = (
        "Not sent yet, but kept: {entry} did not take the packet ({why}); it is tried again as long"
        " as the agent runs."
    )
