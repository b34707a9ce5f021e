"""The one supported import for other Twisted programs.

::

    from mixminion import api

    async def main(reactor):
        client = api.Client(reactor, api.load_config())
        try:
            sent = await client.send("alice@example.org", b"Hello", subject="Hi")
            print("on its way through", sent.entry)
        except api.NotHandedOver:
            print("not sent, but kept; client.flush() tries again")
        finally:
            await client.close()

Everything that can go wrong is a :class:`MixminionError` with a ``code`` and ``fields``;
:func:`render` gives its sentence.
"""

from mixminion.client.client import Client, Config, Consensus, Server, View, load_config
from mixminion.client.counting import Counted
from mixminion.client.database import InlineExecutor
from mixminion.client.errors import (
    AlreadyHandedOver,
    MessageTooLarge,
    NotHandedOver,
    Withdrawn,
)
from mixminion.client.exporting import Restored
from mixminion.client.identities import Identity, Unlocked
from mixminion.client.imported import ImportedServer
from mixminion.client.inbox import MAX_SIZE
from mixminion.client.incoming import Incoming
from mixminion.client.inspecting import Inspected, ReplyBlock, State
from mixminion.client.kept_entries import EntryRole, KeptEntry
from mixminion.client.key_sources import KeySource
from mixminion.client.keys import Key, OfferedKey
from mixminion.client.mailbox import FRAMES, Fetched, Mailbox, Visit
from mixminion.client.opened import Kind, Opened
from mixminion.client.outbox import Unbuilt, Waiting
from mixminion.client.outgoing import Outgoing
from mixminion.client.pinging import Ping
from mixminion.client.preview import Preview
from mixminion.client.progress import (
    Asked,
    AskingForKey,
    BlockPassedOver,
    BlocksMade,
    BlocksUsed,
    Compared,
    Deleted,
    Encrypted,
    Event,
    Fetching,
    Finding,
    HandedOver,
    InFragments,
    Kept,
    KeptLong,
    LeftOut,
    PathChosen,
    Progress,
    Sent,
    Warned,
)
from mixminion.client.receipt_rows import Receipt, ReceiptState
from mixminion.client.reply_parts import PartialReply
from mixminion.client.report import DirectoryReport, HeldConsensus, SignedTwice
from mixminion.client.sender import Flushed
from mixminion.client.withdrawing import Cancelled
from mixminion.errors import MixminionError, render

__all__ = [
    "FRAMES",
    "MAX_SIZE",
    "AlreadyHandedOver",
    "Asked",
    "AskingForKey",
    "BlockPassedOver",
    "BlocksMade",
    "BlocksUsed",
    "Cancelled",
    "Client",
    "Compared",
    "Config",
    "Consensus",
    "Counted",
    "Deleted",
    "DirectoryReport",
    "Encrypted",
    "EntryRole",
    "Event",
    "Fetched",
    "Fetching",
    "Finding",
    "Flushed",
    "HandedOver",
    "HeldConsensus",
    "Identity",
    "ImportedServer",
    "InFragments",
    "Incoming",
    "InlineExecutor",
    "Inspected",
    "Kept",
    "KeptEntry",
    "KeptLong",
    "Key",
    "KeySource",
    "Kind",
    "LeftOut",
    "Mailbox",
    "MessageTooLarge",
    "MixminionError",
    "NotHandedOver",
    "OfferedKey",
    "Opened",
    "Outgoing",
    "PartialReply",
    "PathChosen",
    "Ping",
    "Preview",
    "Progress",
    "Receipt",
    "ReceiptState",
    "ReplyBlock",
    "Restored",
    "Sent",
    "Server",
    "SignedTwice",
    "State",
    "Unbuilt",
    "Unlocked",
    "View",
    "Visit",
    "Waiting",
    "Warned",
    "Withdrawn",
    "load_config",
    "render",
]
