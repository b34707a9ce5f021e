"""Mail to an exit's own domain: what comes back, people who want no more mail, complaints.

It is done with while the mail server waits for the answer, and stays in that server's queue
otherwise: nothing is kept here.  A mail without a sender is never answered, nor what a program
wrote, nor anybody twice a day; what is answered or passed on has no sender itself, so that two
programs never write to each other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection

from mixminion.counters import Counters, Name
from mixminion.crypto.aead import Forged
from mixminion.exits import letters
from mixminion.exits.blocking import DAY, Blocking, NobodyThere, Origin
from mixminion.exits.letters import Bounce, Letter
from mixminion.exits.lmtp_intake import LATER
from mixminion.exits.marks import BOUNCE, OPT_OUT
from mixminion.exits.notes import confirmation, passed_on
from mixminion.exits.templates import Templates
from mixminion.exits.tokens import Tokens
from mixminion.interfaces import Clock, Outcome, OutcomeKind
from mixminion.mail.compose import Mail

OFFICES = ("abuse", "postmaster")
"""Who is written to with complaints (RFC 2142)."""

DONE = 250
NOBODY = 550

ANSWERS_AN_HOUR = 60
PASSED_ON_AN_HOUR = 200
REMEMBERED = 5000
"""Addresses that were answered within the day."""

GONE_DAYS = 3
"""Days with a bounce for good after which a recipient is blocked for some time."""
BLOCKED_FOR = 30 * DAY

SHOWN_FROM = 5
"""Recipients at one domain that have to bounce before the domain is named to the operator."""
MOST_DOMAINS = 1000

Send = Callable[[str, str, Mail], Awaitable[Outcome]]
"""Hands a mail over for *domain* to an address, from nobody."""


class Post:
    """The mail of *domains*; complaints go to *contact*, if there is one."""

    def __init__(
        self,
        *,
        domains: Collection[str],
        contact: str | None,
        told: str,
        blocking: Blocking,
        tokens: Tokens,
        templates: Callable[[], Templates],
        send: Send,
        counters: Counters,
        clock: Clock,
    ) -> None:
        """*told* is the contact that people are told."""
        self._domains = frozenset(domains)
        self._contact = contact
        self._told = told
        self._blocking = blocking
        self._tokens = tokens
        self._templates = templates
        self._send = send
        self._counters = counters
        self._clock = clock
        self._answered: OrderedDict[bytes, float] = OrderedDict()
        self._answers = _PerHour(ANSWERS_AN_HOUR, clock)
        self._passed = _PerHour(PASSED_ON_AN_HOUR, clock)
        self._bouncing: OrderedDict[str, set[bytes]] = OrderedDict()

    @property
    def bouncing(self) -> dict[str, int]:
        """Domains at which several recipients' mail came back since the start, with how many."""
        found = {name: len(entries) for name, entries in self._bouncing.items()}
        return {name: n for name, n in sorted(found.items()) if n >= SHOWN_FROM}

    def knows(self, recipient: str) -> bool:
        """See :class:`~mixminion.exits.lmtp_intake.Post`."""
        name, _, domain = recipient.lower().rpartition("@")
        if domain not in self._domains:
            return False
        if name == OPT_OUT or name in OFFICES:
            return True
        return self._returning(name) is not None

    async def take(self, sender: str, recipient: str, octets: bytes) -> int:
        """See :class:`~mixminion.exits.lmtp_intake.Post`."""
        name, _, domain = recipient.lower().rpartition("@")
        if name in OFFICES:
            return await self._pass_on(name, domain, octets)
        if name == OPT_OUT:
            return await self._opt_out(sender, domain, Letter(octets))
        entry = self._returning(name)
        if entry is None:
            return NOBODY
        await self._came_back(entry, octets)
        return DONE

    # -- bounces -------------------------------------------------------------------------------

    def _returning(self, name: str) -> bytes | None:
        """The entry of whose mail comes back to *name*."""
        first, plus, token = name.partition("+")
        if first != BOUNCE or not plus:
            return None
        try:
            return self._tokens.from_bounce(token, self._clock.seconds())
        except Forged:
            return None

    async def _came_back(self, entry: bytes, octets: bytes) -> None:
        kind = letters.bounce(octets)
        if kind is Bounce.LATER:
            return
        self._counters.add(Name.BOUNCED)
        self._note_domain(entry, octets)
        if kind is Bounce.GONE and await self._blocking.bounced(entry) >= GONE_DAYS:
            await self._blocking.add(entry, Origin.BOUNCE, BLOCKED_FOR)

    def _note_domain(self, entry: bytes, octets: bytes) -> None:
        """Count the recipient's domain, when the bounce names that recipient."""
        for name in letters.returned_to(octets):
            try:
                if self._blocking.hashed(name) != entry:
                    continue
            except NobodyThere:
                continue
            domain = name.rpartition("@")[2].lower()
            entries = self._bouncing.setdefault(domain, set())
            if len(entries) < MOST_DOMAINS:
                entries.add(entry)
            if len(self._bouncing) > MOST_DOMAINS:
                self._bouncing.popitem(last=False)
            return

    # -- opting out ----------------------------------------------------------------------------

    async def _opt_out(self, sender: str, domain: str, letter: Letter) -> int:
        """A token in the subject does it, whoever writes: it was in a mail to the recipient.
        Without one the address that asks is asked whether it did."""
        for token in letter.tokens:
            try:
                entry = self._tokens.from_link(token)
            except Forged:
                continue
            if await self._blocking.add(entry, Origin.MAIL):
                self._counters.add(Name.OPTED_OUT)
            return DONE
        author = letter.author
        if not sender or letter.automatic or author is None or author.domain in self._domains:
            return DONE
        if self._blocking.listed(str(author)) is not None:
            return DONE
        entry, now = self._blocking.hashed(str(author)), self._clock.seconds()
        if now - self._answered.get(entry, -DAY) < DAY:
            return DONE
        if not self._answers.take():
            return LATER
        self._answered[entry] = now
        self._answered.move_to_end(entry)
        if len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)
        token = self._tokens.link(entry, f"confirm {int(now)}")
        text = self._templates().fill(
            "confirm.txt", address=str(author), domain=domain, contact=self._told
        )
        mail = confirmation(domain, str(author), token, text, now)
        outcome = await self._send(domain, str(author), mail)
        if _waits(outcome):
            del self._answered[entry]
            return LATER
        return DONE

    # -- complaints ----------------------------------------------------------------------------

    async def _pass_on(self, office: str, domain: str, octets: bytes) -> int:
        if self._contact is None or not self._passed.take():
            return LATER
        mail = passed_on(office, domain, self._contact, octets, self._clock.seconds())
        outcome = await self._send(domain, self._contact, mail)
        return DONE if outcome.kind is OutcomeKind.DELIVERED else LATER


def _waits(outcome: Outcome) -> bool:
    return outcome.kind in (OutcomeKind.TEMPORARY, OutcomeKind.UNREACHABLE)


class _PerHour:
    """So many in each hour of the clock."""

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._hour = -1
        self._used = 0

    def take(self) -> bool:
        """One more; False when there were enough."""
        hour = int(self._clock.seconds()) // 3600
        if hour != self._hour:
            self._hour, self._used = hour, 0
        self._used += 1
        return self._used <= self._most
