"""MTA-STS (RFC 8461): domains that say which hosts take their mail, and want TLS checked there.

A policy is announced in the DNS, fetched over HTTPS, and holds for as long as it says: also when
the announcement is gone, or somebody in the middle keeps it from us.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mixminion.exits.mx_names import Names, NoAnswer
from mixminion.interfaces import Clock

ENFORCE = "enforce"
MODES = frozenset({ENFORCE, "testing", "none"})
LONGEST_AGE = 31_557_600  #: seconds; a year
MOST_HOSTS = 100
PAUSE = 300.0
"""Seconds without another attempt at a policy that could not be fetched."""

MOST_FAILED = 1000

_RECORD = re.compile(rb"v=STSv1[ \t]*;.*")
_ID = re.compile(rb"(?:.*;)?[ \t]*id[ \t]*=[ \t]*([A-Za-z0-9]{1,32})[ \t]*(?:;.*)?")
_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")


class NoPolicy(Exception):
    """There is no policy to be had, or what was to be had is none."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a domain wants.  *until* is the second at which it is over."""

    id: str
    mode: str
    hosts: tuple[str, ...]
    until: float

    def takes(self, host: str) -> bool:
        """Whether mail may go to *host*, in small letters; ``*`` stands for one label."""
        parent = host.partition(".")[2]
        return any(each in (host, f"*.{parent}") for each in self.hosts)


class Cache(Protocol):
    """Where policies are kept."""

    def get(self, domain: str) -> Awaitable[Policy | None]:
        """The policy of *domain*, over or not."""

    def put(self, domain: str, policy: Policy) -> None:
        """Keep one."""


class Fetch(Protocol):
    """How a policy is fetched."""

    def __call__(self, domain: str) -> Awaitable[bytes]:
        """The text of the policy of *domain*; raises :class:`NoPolicy`."""


class Policies:
    """The policies of domains."""

    def __init__(self, clock: Clock, names: Names, fetch: Fetch, cache: Cache) -> None:
        self._clock = clock
        self._names = names
        self._fetch = fetch
        self._cache = cache
        self._failed: OrderedDict[str, float] = OrderedDict()

    async def of(self, domain: str) -> Policy | None:
        """The policy that mail to *domain* has to keep now, if any."""
        known = await self._cache.get(domain)
        if known is not None and known.until <= self._clock.seconds():
            known = None
        announced = await self._announced(domain)
        if announced is not None and (known is None or known.id != announced):
            known = await self._renewed(domain, announced) or known
        return known if known is not None and known.mode == ENFORCE else None

    async def _announced(self, domain: str) -> str | None:
        try:
            return announced_id(await self._names.texts(f"_mta-sts.{domain}"))
        except NoAnswer:
            return None

    async def _renewed(self, domain: str, announced: str) -> Policy | None:
        now = self._clock.seconds()
        if self._failed.get(domain, now) > now:
            return None
        try:
            policy = parse(await self._fetch(domain), announced, now)
        except NoPolicy:
            self._failed[domain] = now + PAUSE
            if len(self._failed) > MOST_FAILED:
                self._failed.popitem(last=False)
            return None
        self._failed.pop(domain, None)
        self._cache.put(domain, policy)
        return policy


def announced_id(texts: Sequence[bytes]) -> str | None:
    """The id in the TXT records of ``_mta-sts.DOMAIN``; None unless there is just one."""
    records = [text for text in texts if _RECORD.fullmatch(text)]
    if len(records) != 1:
        return None
    found = _ID.fullmatch(records[0])
    return found[1].decode() if found else None


def parse(octets: bytes, announced: str, now: float) -> Policy:
    """The policy in a file; raises :class:`NoPolicy`.  Of a key that is there twice the first
    counts, keys that nobody knows are passed over."""
    values: dict[str, str] = {}
    hosts: list[str] = []
    try:
        lines = octets.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        raise NoPolicy from None
    for line in lines:
        key, colon, value = (part.strip(" \t") for part in line.partition(":"))
        if not colon:
            continue
        if key == "mx":
            hosts.append(value.lower().rstrip("."))
        else:
            values.setdefault(key, value)
    age, mode = values.get("max_age", ""), values.get("mode", "")
    sound = (
        values.get("version") == "STSv1"
        and mode in MODES
        and re.fullmatch("[0-9]{1,10}", age)
        and len(hosts) <= MOST_HOSTS
        and all(map(_HOST.fullmatch, hosts))
        and (hosts or mode == "none")
    )
    if not sound:
        raise NoPolicy
    return Policy(announced, mode, tuple(hosts), now + min(int(age), LONGEST_AGE))
