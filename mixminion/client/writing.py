"""From what somebody writes to the message that leaves: composed, with its reply blocks in it,
encrypted, and with its path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from mixminion.client import compose, recipients, routes, sealing
from mixminion.client.database import Executor
from mixminion.client.imported import ImportedServers
from mixminion.client.keys import Keys
from mixminion.client.packets import Letter
from mixminion.client.progress import Progress
from mixminion.client.reply_blocks import ReplyBlocks
from mixminion.directory.view import View


@dataclass(frozen=True, slots=True)
class Draft:
    """What is asked for, but for the content; as :meth:`mixminion.client.client.Client.send` has
    it."""

    address: str | Sequence[str]
    cc: Sequence[str]
    bcc: Sequence[str]
    shown: compose.Shown
    subject: str | None
    whole: bool
    path: str | None
    encrypt: bool
    encrypt_to: bytes | None
    reply_blocks: int = 0
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A message as it leaves, and to whom, and what it was before it was encrypted."""

    everybody: recipients.Recipients
    composed: compose.Composed
    letter: Letter


class Writing:
    """Does that for one client; *view* is the network as the directory shows it."""

    def __init__(
        self,
        view: Callable[[Progress], Awaitable[View]],
        keys: Keys,
        reply_blocks: ReplyBlocks,
        imported: ImportedServers,
        executor: Executor,
        default_path: str,
    ) -> None:
        self._view = view
        self._keys = keys
        self._reply_blocks = reply_blocks
        self._imported = imported
        self._executor = executor
        self._default_path = default_path

    async def write(self, draft: Draft, content: bytes, progress: Progress) -> Written:
        """A message of *content*.

        :raises MixminionError: it cannot be sent.
        """
        shown_to = [draft.address] if isinstance(draft.address, str) else list(draft.address)
        everybody = recipients.gather(shown_to, draft.cc, draft.bcc)
        to = everybody.address
        key = None
        if draft.encrypt or draft.encrypt_to is not None:
            first = [*shown_to, *draft.cc, *draft.bcc][0]
            key = await sealing.key_for(self._keys, to, first, draft.encrypt_to, progress)
        into = partial(
            compose.compose_for,
            everybody,
            content,
            draft.subject,
            shown=draft.shown,
            whole=draft.whole,
        )
        composed = into()  # before there are blocks of it: it may not be one that can be sent
        if draft.reply_blocks:
            blocks = await self._reply_blocks.armored(draft.reply_blocks, draft.identity, progress)
            composed = into(blocks=blocks)
        del into, content  # it may be large, and the caller may have let go of it
        path = await self.route(to.server, draft.path, progress)
        leaving = composed
        if key is not None:
            view = await self._view(progress)
            leaving = await self._executor.run(sealing.seal, view, to, composed, key)
        letter = Letter(to.exit, to.recipients, leaving.parts, path)
        return Written(everybody, composed, letter)

    async def route(self, server: str | None, path: str | None, progress: Progress) -> str:
        """The path of a message that ends at *server*, if its address names one."""
        look = partial(self._view, progress)
        return await routes.route(server, path, self._default_path, self._imported, look)
