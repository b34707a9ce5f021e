"""The exit to local users, each of whom gets mail where and how the file of users says."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from typing_extensions import override
from zope.interface import implementer

from mixminion.config import option, section, values
from mixminion.errors import OperatorError
from mixminion.exits import answers, lmtp, mbox_users, smtp
from mixminion.exits.answers import FINAL
from mixminion.exits.dialogue import Away
from mixminion.exits.lmtp import Lmtp
from mixminion.exits.mbox_forms import compose_for
from mixminion.exits.mbox_places import Places
from mixminion.exits.mbox_users import User, Users
from mixminion.exits.prepared import Prepared
from mixminion.exits.threads import Executor, Threads
from mixminion.interfaces import (
    Clock,
    ExitEnvironment,
    IExit,
    Message,
    Outcome,
    OutcomeKind,
)
from mixminion.mail.compose import Mail
from mixminion.mail.errors import MailError
from mixminion.util import faults

REMEMBERED = 1000
LOOK = 60.0
"""Seconds between two looks at the file of users."""

UNKNOWN_USER = "unknown-user"

log = Logger()


@section("Exit", named=True)
class Section(smtp.Section):
    """Mail for local users, into Maildirs, mbox files and folders of MH that this server may write
    to, to an LMTP server, or to other addresses.  Mail for addresses goes out as the keys say that
    module = smtp has as well."""

    users: Path = option(
        values.path,
        doc="""The file of users.  It is read again when it has changed, looked at every minute;
        while it has errors, what held before holds.""",
    )
    lmtp: lmtp.Place | None = option(
        lmtp.place,
        default=None,
        doc="The server for local delivery, for users whose mail goes there (RFC 2033).",
    )

    def accepts(self, user: User) -> str | None:
        """What keeps mail from *user*, as far as this section shows it."""
        if user.lmtp is not None and self.lmtp is None:
            return "the exit has no lmtp = HOST:PORT"
        return None

    @override
    def problems(self) -> Iterator[tuple[str, str]]:
        """What only several keys together show, and what is wrong in the file of users."""
        yield from smtp.Section.problems(self)
        for each in mbox_users.complaints(self.users, self.accepts):
            yield "users", each


@implementer(IExit)
class MboxExit:
    """The users of one file.  *addresses* hands over to those who have a mail address."""

    def __init__(
        self,
        name: str,
        section: Section,
        *,
        clock: Clock,
        executor: Executor,
        addresses: IExit,
        lmtp: Lmtp | None,
    ) -> None:
        self.name = name
        self.policy = section.policy
        self.domain = section.domain
        self._section = section
        self._clock = clock
        self._executor = executor
        self._addresses = addresses
        self._lmtp = lmtp
        self._places = Places(clock, executor)
        self._users = Users(section.users, section.accepts)
        self._users.look()
        self._done: OrderedDict[str, dict[str, Outcome]] = OrderedDict()
        self._timer: IDelayedCall | None = None
        self._stopping = False

    def describe(self) -> Mapping[str, Any]:
        """See :class:`IExit`.  Who its users are is not published."""
        return self._section.describe("mbox")

    def check(self, recipients: Sequence[str], content: bytes, reply: bool) -> str | None:
        """See :class:`IExit`; the words are those of the exit to mail, and ``unknown-user``."""
        refused = self._section.refuse(recipients, content, reply)
        if refused is not None:
            return refused
        message = Message(self.name, (), content, b"" if reply else None, "<>", 0)
        try:
            for recipient in recipients:
                user = self._users.get(recipient)
                if user is None:
                    return UNKNOWN_USER
                self._mail(message, recipient, user).head()
        except MailError as error:
            return error.code
        return None

    def guard(self, guard: Callable[[IExit], IExit]) -> None:
        """Let *guard* stand before what goes to users' mail addresses, too."""
        self._addresses = guard(self._addresses)

    async def start(self) -> None:
        """See :class:`IExit`."""
        await self._addresses.start()
        self._stopping = False
        self._later()

    async def stop(self) -> None:
        """See :class:`IExit`."""
        self._stopping = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        await self._addresses.stop()
        if self._lmtp is not None:
            await self._lmtp.stop()
        await self._places.stop()

    async def reload(self) -> None:
        """Read the file of users again if it has changed.  What held before goes on to hold
        when it has errors; the log says so, and nothing of what is in it."""
        try:
            if await self._executor(self._users.look):
                log.info("{exit}: {n} users.", exit=self.name, n=len(self._users))
        except OperatorError:
            log.error(
                "{exit}: the file of users has errors and is not taken over; "
                "`mixminion server check-config` tells them.",
                exit=self.name,
            )
        except Exception as error:
            log.error("{exit}: {report}", exit=self.name, report=faults.report(error))

    async def deliver(self, message: Message) -> Outcome:
        """See :class:`IExit`.

        Recipients that are done with are not tried again with the others; this is kept in
        memory only.
        """
        outcomes = self._done.pop(message.message_id, {})
        left = [name for name in message.recipients if name not in outcomes]
        for recipient in left:
            outcomes[recipient] = await self._deliver(message, recipient)
        outcome = answers.together(outcomes)
        if outcome.kind not in FINAL:
            self._remember(message, outcomes)
        return outcome

    def _remember(self, message: Message, outcomes: Mapping[str, Outcome]) -> None:
        final = {name: each for name, each in outcomes.items() if each.kind in FINAL}
        if final:
            self._done[message.message_id] = final
            if len(self._done) > REMEMBERED:
                self._done.popitem(last=False)

    # -- one recipient -------------------------------------------------------------------------

    async def _deliver(self, message: Message, recipient: str) -> Outcome:
        user = self._users.get(recipient)
        if user is None:
            return Outcome(OutcomeKind.PERMANENT, UNKNOWN_USER)
        try:
            mail = self._mail(message, recipient, user)
            if user.address is not None:
                return _alone(await self._addresses.deliver(_prepared(message, user.address, mail)))
            if user.lmtp is not None:
                return await self._by_lmtp(user.lmtp, mail)
            return await self._places.put(user, message, mail.octets())
        except MailError as error:
            return Outcome(OutcomeKind.PERMANENT, error.code)

    async def _by_lmtp(self, recipient: str, mail: Mail) -> Outcome:
        assert self._lmtp is not None  # or the file of users would not have been taken over
        try:
            codes = await self._lmtp.send(str(self._section.sender.address), [recipient], mail)
        except Away as error:
            return Outcome(OutcomeKind.TEMPORARY, error.reason)
        code = codes[recipient]
        kinds = {2: OutcomeKind.DELIVERED, 5: OutcomeKind.PERMANENT}
        return Outcome(kinds.get(code // 100, OutcomeKind.TEMPORARY), f"lmtp-{code}")

    def _mail(self, message: Message, recipient: str, user: User) -> Mail:
        shown = user.address or f"{mbox_users.name_of(recipient)}@{self.domain}"
        sender = str(self._section.sender)
        policy = self._section.mail_policy
        return compose_for(message, user.form, sender=sender, recipient=shown, policy=policy)

    # -- the file of users ---------------------------------------------------------------------

    def _later(self) -> None:
        if not self._stopping:
            self._timer = self._clock.callLater(LOOK, self._look)

    def _look(self) -> None:
        looked: Deferred[None] = ensureDeferred(self.reload())
        _ = looked.addCallback(lambda _: self._later())


def _prepared(message: Message, address: str, mail: Mail) -> Prepared:
    return Prepared(
        message.exit,
        (address,),
        message.content,
        message.surb_id,
        message.message_id,
        message.date,
        mail=mail,
    )


def _alone(outcome: Outcome) -> Outcome:
    """A far side that is away keeps one user's mail waiting, not everybody's."""
    if outcome.kind is OutcomeKind.UNREACHABLE:
        return Outcome(OutcomeKind.TEMPORARY, outcome.reason)
    return outcome


def make(name: str, section: Section, environment: ExitEnvironment) -> MboxExit:
    """See :class:`mixminion.interfaces.IExitModule`."""
    reactor = environment.reactor
    server = None
    if section.lmtp is not None:
        hello = section.hello or environment.host_name
        where = lmtp.endpoint(reactor, section.lmtp)
        server = Lmtp(reactor, where, hello, section.timeout)
    return MboxExit(
        name,
        section,
        clock=reactor,
        executor=Threads(reactor),
        addresses=smtp.make(name, section, environment),
        lmtp=server,
    )
