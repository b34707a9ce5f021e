"""A sender as other programs hold it: everything wired from one configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, ParamSpec

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from typing_extensions import override

from mixminion.client import (
    blocks_text,
    compose,
    configuration,
    pinging,
    recipients,
    report,
)
from mixminion.client.counting import Counted, count
from mixminion.client.database import Executor
from mixminion.client.mailbox import FRAMES, Fetched, Mailbox, Visit
from mixminion.client.outbox import Unbuilt, Waiting
from mixminion.client.outgoing import Outgoing, begun
from mixminion.client.packets import Letter
from mixminion.client.parts import Parts
from mixminion.client.pinging import Ping
from mixminion.client.preview import Preview, look
from mixminion.client.progress import LeftOut, Progress, Sent, silent
from mixminion.client.replying import Answer
from mixminion.client.report import DirectoryReport
from mixminion.client.running import Pace
from mixminion.client.sender import Flushed
from mixminion.client.visiting import Observer
from mixminion.client.withdrawing import Cancelled
from mixminion.client.writing import Draft
from mixminion.config import Config
from mixminion.directory.consensus import Consensus, Server
from mixminion.directory.view import View
from mixminion.dirhttp.errors import NoDirectory
from mixminion.interfaces import Random
from mixminion.paths import select
from mixminion.util.hostport import HostPort

__all__ = ["Client", "Config", "Consensus", "Server", "View", "load_config"]

P = ParamSpec("P")


def load_config(filename: str | None = None) -> Config:
    """The configuration in *filename*, in ``$MIXMINION_CONFIG``, or the user's own.

    :raises NoConfiguration: there is none; a template was written.
    :raises ConfigErrors: it has errors, all of which are listed.
    """
    return configuration.load(configuration.find(filename, os.environ, Path.home()))


class Client(Service):
    """Sends anonymous messages.  Several clients may use one state folder at a time.

    It is a Twisted service: given a parent it keeps itself up to date and is closed with it.  It
    works without that as well, until :meth:`close`; once closed it is over.

    *reactor* gives time, threads and connections.  *random*, *executor* (where state is read
    and written) and *dial* (an endpoint for a host and port) stand in for parts of it.
    """

    def __init__(
        self,
        reactor: Any,
        config: Config,
        *,
        random: Random | None = None,
        executor: Executor | None = None,
        dial: Callable[[HostPort], IStreamClientEndpoint] | None = None,
    ) -> None:
        self._parts = parts = Parts(reactor, config, random, executor, dial)
        self.imported = parts.imported
        """Servers that are known from files."""
        self.entries = parts.entries
        """The servers that packets go to first."""
        self.keys = parts.keys
        """Other people's keys."""
        self.identities = parts.identities
        """Names of our own, each with a key pair."""
        self.reply_blocks = parts.reply_blocks
        """Reply blocks of our own."""
        self.receipts = parts.receipts
        """What became of messages that were sent with a receipt."""
        self.inbox = parts.inbox
        """What has come back."""

    async def send(
        self,
        address: str | Sequence[str],
        content: bytes,
        *,
        cc: Sequence[str] = (),
        bcc: Sequence[str] = (),
        subject: str | None = None,
        name: str | None = None,
        reply_to: str | None = None,
        whole: bool = False,
        path: str | None = None,
        copies: int = 1,
        large: bool = False,
        encrypt: bool = False,
        encrypt_to: bytes | None = None,
        reply_blocks: int = 0,
        identity: str | None = None,
        receipt: bool = False,
        hand_over: bool = True,
        progress: Progress = silent,
    ) -> Sent:
        """Send one message; returns when the first server of its path has it on disk.

        What does not fit one packet goes in several, each over a path of its own, of which some
        may be lost; with *large* also in more than the network's messages are meant to take.  With
        *copies* even a small message goes so many times, and more, and is delivered once.  Without
        *hand_over* it is only kept, for :meth:`flush` or :meth:`export`.

        *address* is ``user@example.org``, ``mbox:user@server``, ``mailbox:CAPABILITY@server``,
        ``news:group``, ``drop`` or ``exit:text``, or several for one exit; *cc* and *bcc* are more
        of them, shown and not shown in a mail's header.  *content* is plain text in UTF-8 or, with
        *whole*, a message of RFC 5322, whose own To and Cc are what is shown.  *name* and
        *reply_to* tell the recipients of the sender, by an exit whose policy allows it.  *path* is
        in path language.  So many pairs of *reply_blocks*, whose answers *identity* reads, are put
        into the message; see :attr:`reply_blocks`.

        With *encrypt* the message is encrypted to the key that :attr:`keys` has for its one
        recipient, with *encrypt_to* to that public key of 1,216 octets; subject, *name* and
        *reply_to* of a mail are then inside.

        With *receipt* the exit is asked to say what became of it, and the text is kept until it
        has; see :attr:`receipts`.

        :raises NotHandedOver: it was not sent, but is kept; see :meth:`flush`.
        :raises MixminionError: nothing was sent or kept.
        """
        draft = Draft(
            address, cc, bcc, compose.Shown(name, reply_to), subject, whole, path,
            encrypt, encrypt_to, reply_blocks, identity,
        )  # fmt: skip
        written = await self._parts.writing.write(draft, content, progress)
        del content  # it may be large, and the caller may have let go of it
        letter, left_out = written.letter, written.composed.left_out
        del written
        if left_out:
            progress(LeftOut(left_out))
        if receipt:
            return await self.receipts.send(
                letter, progress, copies=copies, too_large=large, hand_over=hand_over
            )
        return await self._parts.sender.send(
            letter, progress, copies=copies, large=large, hand_over=hand_over
        )

    async def preview(
        self,
        address: str | Sequence[str],
        content: bytes,
        *,
        cc: Sequence[str] = (),
        bcc: Sequence[str] = (),
        subject: str | None = None,
        name: str | None = None,
        reply_to: str | None = None,
        whole: bool = False,
        path: str | None = None,
        copies: int = 1,
        encrypt: bool = False,
        encrypt_to: bytes | None = None,
        progress: Progress = silent,
    ) -> Preview:
        """What :meth:`send` would make of a message, what the recipient would get of it, and what
        in it may give the sender away; nothing is sent or kept.

        :raises MixminionError: it could not be sent.
        """
        draft = Draft(
            address, cc, bcc, compose.Shown(name, reply_to), subject, whole, path,
            encrypt, encrypt_to,
        )  # fmt: skip
        written = await self._parts.writing.write(draft, content, progress)
        view, now = await self.view(progress=progress), self._parts.clock.seconds()
        preferences = await self.entries.preferences(view)
        return await self._parts.executor.run(
            look, view, written.everybody, written.composed, written.letter, copies, now,
            self._parts.random, preferences,
        )  # fmt: skip

    async def count_packets(
        self,
        address: str | Sequence[str],
        content: bytes,
        *,
        subject: str | None = None,
        whole: bool = False,
        copies: int = 1,
        progress: Progress = silent,
    ) -> Counted:
        """How many packets :meth:`send` would make of a message; nothing is sent or kept."""
        everybody = recipients.gather([address] if isinstance(address, str) else list(address))
        composed = compose.compose_for(everybody, content, subject, whole=whole)
        to = everybody.address
        letter = Letter(to.exit, to.recipients, composed.parts, "")
        view = await self.view(progress=progress)
        now = self._parts.clock.seconds()
        return await self._parts.executor.run(count, view, letter, copies, now, self._parts.random)

    async def reply(
        self,
        blocks: bytes | Sequence[bytes],
        content: bytes,
        *,
        subject: str | None = None,
        whole: bool = False,
        path: str | None = None,
        again: bool = False,
        large: bool = False,
        reply_blocks: int = 0,
        identity: str | None = None,
        hand_over: bool = True,
        progress: Progress = silent,
    ) -> Sent:
        """Answer somebody whose reply *blocks* one has, without knowing whom; as :meth:`send`.

        *blocks* is the message that brought them, or they themselves.  Each is used once, unless
        *again*; what does not fit one takes several.  *content* is what the other reads: octets of
        any kind, or a mail when there is a *subject* or it is *whole*; *reply_blocks* and
        *identity* are as for a message.

        :raises NoUsableBlock: none of the blocks can be used now.
        :raises TooFewBlocks: it takes more of them.
        """
        found = blocks_text.find(blocks) if isinstance(blocks, bytes) else list(blocks)
        composed = compose.reply(content, subject, whole=whole)
        if reply_blocks:
            own = await self.reply_blocks.armored(reply_blocks, identity, progress)
            composed = compose.reply(content, subject, whole=whole, blocks=own)
        path = await self._parts.writing.route(None, path, progress)
        if composed.left_out:
            progress(LeftOut(composed.left_out))
        usual = bool(path) and path == self._parts.default_path
        answer = Answer(composed.content, path, usual, again, large, hand_over)
        return await self._parts.replying.reply(found, answer, progress)

    async def flush(self, ids: Iterable[int] = (), *, progress: Progress = silent) -> Flushed:
        """Try again to hand over what is kept, or of that only *ids*."""
        return await self._parts.sender.flush(ids, progress)

    async def waiting(self) -> list[Waiting]:
        """The packets that are kept, oldest first."""
        return await self._parts.outbox.waiting()

    async def unbuilt(self) -> list[Unbuilt]:
        """Messages in fragments that are kept, and of which packets were not built yet."""
        return await self._parts.outbox.unbuilt()

    async def discard(self, ids: Iterable[int]) -> int:
        """Delete kept packets and messages in fragments; how many packets there were."""
        numbers = list(ids)
        return await self._parts.outbox.delete(numbers) + await self._parts.outbox.delete_large(
            numbers
        )

    async def export(self, path: Path, ids: Iterable[int] = ()) -> int:
        """Move what is kept, or of that only *ids*, into a new file, for another machine to send;
        how many packets.

        :raises NothingToCarry: nothing of that is kept.
        """
        return await self._parts.carrying.export(path, set(ids))

    async def bring(self, octets: bytes, *, progress: Progress = silent) -> list[int]:
        """Keep the packets of such a file; the ids of those that are new here.

        :raises NotPackets: it is none, or one for another network.
        """
        return await self._parts.carrying.bring(await self.view(progress=progress), octets)

    async def tend_outbox(self, *, progress: Progress = silent) -> None:
        """Tell of what is kept for long, and delete what the configuration says is too old."""
        for event in await self._parts.aging.look():
            progress(event)

    async def expired(self) -> list[Waiting]:
        """Those of the kept packets that no server takes any more."""
        return await self._parts.sender.expired()

    async def create_mailbox(
        self, server: str | None = None, *, progress: Progress = silent
    ) -> Mailbox:
        """Make a mailbox at the server of that nickname, or at a random one: a key of ours, of
        which nobody is told."""
        return await self._parts.mailboxes.create(await self.view(progress=progress), server)

    async def mailboxes(self) -> list[Mailbox]:
        """Every mailbox of ours."""
        return await self._parts.mailboxes.all()

    async def visit_mailbox(
        self, number: int, frames: int = FRAMES, *, progress: Progress = silent
    ) -> Visit:
        """Fetch what is held for a mailbox, in so many frames; see :meth:`unread`."""
        view = await self.view(progress=progress)
        try:
            return await self._parts.mailboxes.visit(view, number, frames)
        finally:
            await self.receipts.collect()

    async def unread(self, number: int) -> list[Fetched]:
        """What was fetched from a mailbox, until :meth:`mark_read`."""
        return await self._parts.mailboxes.unread(number)

    async def mark_read(self, numbers: Iterable[int]) -> None:
        """Forget the contents of fetched messages, which are safe elsewhere by now."""
        await self._parts.mailboxes.read(numbers)

    async def update(self, *, progress: Progress = silent) -> Consensus:
        """Fetch the newest directory now, keep it, and compare it with what others have."""
        return await self._parts.directory.update(progress)

    async def update_if_due(self, *, progress: Progress = silent) -> Consensus | None:
        """The same if the moment for it has come, else nothing: for programs that are started
        again and again."""
        due = await self._parts.schedule.due()
        if due is not None and due > self._parts.clock.seconds():
            return None
        return await self._parts.directory.update(progress)

    def keep_updated(self) -> None:
        """From now on, until :meth:`close`, fetch the directory whenever that is due: at random
        moments, which have nothing to do with what is sent."""
        self._parts.keeping.start()

    async def view(self, *, progress: Progress = silent) -> View:
        """The network as the directory shows it; fetched when none is here that can be used."""
        return await self._parts.directory.view(progress)

    async def directory(self) -> DirectoryReport:
        """What is held of the directory, and what is to be said of it; nothing is fetched.

        :raises MixminionError: what is kept cannot be believed, or there is nothing.
        """
        parts = self._parts
        await parts.directory.load()
        if parts.cache.signed is None:
            raise parts.directory.unusable or NoDirectory()
        now = parts.clock.seconds()
        return DirectoryReport(
            await report.held(parts.cache, parts.authorities, now),
            await report.evidence(parts.cache, parts.authorities, parts.folder),
            await parts.schedule.due(),
            parts.directory.warnings(),
        )

    async def held(self, number: int = 0) -> bytes:
        """A consensus that is held, in its envelope: the newest, or the one *number* before it.

        :raises NoDirectory: there is none.
        """
        await self._parts.directory.load()
        known = self._parts.cache.known[number : number + 1]
        octets = await self._parts.cache.consensus(known[0].digest) if known else None
        if octets is None:
            raise NoDirectory
        return octets

    async def ping(self, server: str, *, progress: Progress = silent) -> list[Ping]:
        """Whether each address of the server of that nickname answers.  That is not anonymous."""
        view = await self.view(progress=progress)
        found = select.find(view, server)
        return await pinging.ping(found, view.packet_length, self._parts.clock, self._parts.connect)

    async def servers(self) -> tuple[Server, ...]:
        """All listed servers, by nickname."""
        listed = (await self.view()).servers
        return tuple(sorted(listed, key=lambda server: server.nickname.lower()))

    def begin(
        self, send: Callable[P, Coroutine[Any, Any, Sent]], *args: P.args, **kwargs: P.kwargs
    ) -> Outgoing:
        """Begin what *send* does, :meth:`send` of this client or what else takes ``progress``, and
        watch it: ``client.begin(client.send, "alice@example.org", b"Hello")``."""
        return begun(self.cancel, send, *args, **kwargs)

    async def cancel(self, id: int) -> Cancelled:
        """Call a message back, by its number in the outbox: nothing leaves of it any more.  What
        was given to a server, or may have been, stays as it is; of a message in several packets
        that may be some.

        :raises AlreadyHandedOver: that is all of it.
        """
        return await self._parts.sender.cancel(id)

    def start_schedule(self) -> None:
        """From now on, until :meth:`close`, have packets leave at random points only, with cover
        traffic between them, and visit mailboxes at others: see :doc:`/use/agent`.  What is sent
        waits for its point."""
        self._parts.running.start()

    @property
    def pace(self) -> Pace:
        """How packets leave now."""
        return self._parts.running.pace

    def on_visit(self, observer: Observer) -> None:
        """Have *observer* called after each visit of the schedule: mailbox number, and visit."""
        self._parts.running.visiting.observe(observer)

    @override
    def startService(self) -> None:
        """From now on do what a running client does; see :meth:`keep_updated`."""
        super().startService()  # type: ignore[no-untyped-call]
        self.keep_updated()

    @override
    def stopService(self) -> Deferred[None]:
        """See :meth:`close`."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self.close())

    async def close(self) -> None:
        """End links and close the state.  What was not handed over stays kept."""
        await self._parts.close()
