"""How much an exit lets out: to one recipient, to one domain, in all.

A limit is an amount in a period: within any stretch of that length no more leaves, but for the
rest of a message that began below it.  What is over a limit is put off, not lost.  Use is kept
in memory alone, recipients and domains under a keyed hash whose key dies with the process,
times in twelfths of the period.

So a restart forgets what has left.  For that reason, and because a new exit should begin
gently, a limit starts at a tenth and grows to its whole within its first period: restarting
gains nobody more than that tenth.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mixminion.config import option, section, values
from mixminion.config.values import Value
from mixminion.exits.served_section import ServedSection
from mixminion.interfaces import Clock, Random

SLOTS = 12
START = 10  #: a limit starts at one part in so many
MOST_KEYS = 20_000
"""Recipients or domains that are remembered at once, for each limit; about 13 MB."""

_PERIODS = {"minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many messages, or octets, in so many seconds."""

    amount: int
    period: int


def _rate(amount: Value[int]) -> Value[Rate]:
    def parse(text: str) -> Rate:
        number, slash, period = text.rpartition("/")
        if not slash or period.strip() not in _PERIODS:
            raise ValueError
        return Rate(amount.parse(number.strip()), _PERIODS[period.strip()])

    def render(rate: Rate) -> str:
        period = next(word for word, seconds in _PERIODS.items() if seconds == rate.period)
        return f"{amount.render(rate.amount)}/{period}"

    expected = f"{amount.expected}, then /minute, /hour or /day"
    return Value(expected, parse, render)


messages_in: Value[Rate] = _rate(values.integer(1, 10**9))
octets_in: Value[Rate] = _rate(values.within(values.size, 1024))


@section("Exit", named=True)
class LimitedSection(ServedSection):
    """An exit to mail that does not let out more than so much."""

    recipient_limit: tuple[Rate, ...] = option(
        values.list_of(messages_in),
        default="5/hour, 20/day",
        doc="""How many messages one recipient gets.  What is over a limit waits; an empty value
        is no limit.  After a start every limit grows from a tenth to its whole.""",
    )
    domain_limit: tuple[Rate, ...] = option(
        values.list_of(messages_in),
        default="100/hour, 500/day",
        doc="How many messages the recipients of one domain get together.",
    )
    message_limit: tuple[Rate, ...] = option(
        values.list_of(messages_in),
        default="1000/hour, 10000/day",
        doc="How many messages leave by this exit, each recipient counted.",
    )
    bandwidth_limit: tuple[Rate, ...] = option(
        values.list_of(octets_in),
        default="1 GB/day",
        doc="How much leaves by this exit, each recipient counted.",
    )


class OverLimit(Exception):
    """The exit as a whole has let out what it may."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a message may use now; *put_off* are recipients who have to wait.  *taken* is for
    :meth:`Limits.give_back`."""

    recipients: tuple[str, ...]
    put_off: tuple[str, ...]
    taken: tuple[tuple[str, tuple[tuple[_Window, int, int], ...]], ...]


class Limits:
    """The limits of one exit, and what has been used of them."""

    def __init__(self, section: LimitedSection, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._started: float | None = None
        self._key = b""
        self._recipients = [_Windows(rate) for rate in section.recipient_limit]
        self._domains = [_Windows(rate) for rate in section.domain_limit]
        self._messages = [_Window(rate) for rate in section.message_limit]
        self._octets = [_Window(rate) for rate in section.bandwidth_limit]

    def begin(self) -> None:
        """From now on everything grows; nothing is asked of clock and generator before."""
        if self._started is None:
            self._started = self._clock.seconds()
            self._key = self._random.octets(32)

    def take(self, recipients: Sequence[str], octets: int) -> Share:
        """Take a share for a message of *octets* to each of *recipients*, as far as there is
        one.  Raises :class:`OverLimit` when the exit's own are used up."""
        self.begin()
        passed = max(0.0, self._clock.seconds() - (self._started or 0.0))
        taken, put_off = [], []
        whole = [(window, 1) for window in self._messages]
        whole += [(window, octets) for window in self._octets]
        if not _room(whole, passed):
            raise OverLimit
        for recipient in recipients:
            needed = [*whole, *((window, 1) for window in self._own(recipient))]
            if _room(needed, passed):
                used = ((window, window.use(passed, amount), amount) for window, amount in needed)
                taken.append((recipient, tuple(used)))
            else:
                put_off.append(recipient)
        return Share(tuple(name for name, _ in taken), tuple(put_off), tuple(taken))

    def give_back(self, share: Share, recipients: Iterable[str]) -> None:
        """Those of *recipients* that had a share did not need it."""
        unused = set(recipients)
        for recipient, used in share.taken:
            if recipient in unused:
                for window, slot, amount in used:
                    window.free(slot, amount)

    def _own(self, recipient: str) -> Iterator[_Window]:
        """The windows of a recipient and his domain; ``bob+list`` is ``bob``."""
        local_part, _, domain = recipient.lower().rpartition("@")
        mailbox = f"{local_part.partition('+')[0]}@{domain}"
        for kept, name in ((self._recipients, mailbox), (self._domains, domain)):
            key = hashlib.blake2b(name.encode(), key=self._key, digest_size=16).digest()
            yield from (windows.of(key) for windows in kept)


class _Window:
    """What was used within the last period, by slots of a twelfth of it."""

    __slots__ = ("_rate", "_used")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._used: list[list[int]] = []

    def room(self, passed: float) -> int:
        """How much may still be used, *passed* seconds after the start; above 0 is enough for
        a whole message, and may end below."""
        first = self._slot(passed) - SLOTS
        while self._used and self._used[0][0] < first:
            del self._used[0]
        grown = (1 + (START - 1) * min(1.0, passed / self._rate.period)) / START
        return max(1, int(self._rate.amount * grown)) - sum(used for _, used in self._used)

    def use(self, passed: float, amount: int) -> int:
        """Use *amount*; the slot it stands in."""
        slot = self._slot(passed)
        if not self._used or self._used[-1][0] != slot:
            self._used.append([slot, 0])
        self._used[-1][1] += amount
        return slot

    def free(self, slot: int, amount: int) -> None:
        """Undo :meth:`use`."""
        for each in self._used:
            if each[0] == slot:
                each[1] -= amount

    def _slot(self, passed: float) -> int:
        return int(passed * SLOTS / self._rate.period)


def _room(needed: Iterable[tuple[_Window, int]], passed: float) -> bool:
    return all(window.room(passed) > 0 for window, _ in needed)


class _Windows:
    """One window for each key, the longest unused one forgotten when there are too many."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._windows: OrderedDict[bytes, _Window] = OrderedDict()

    def of(self, key: bytes) -> _Window:
        """The window of *key*."""
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(self._rate)
            if len(self._windows) > MOST_KEYS:
                self._windows.popitem(last=False)
        self._windows.move_to_end(key)
        return window
