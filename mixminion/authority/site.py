"""An authority's HTTP server: what is too long or too much is refused by its header alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from typing_extensions import override

from mixminion.authority.floods import Allowance
from mixminion.directory import descriptor, detached, vote
from mixminion.dirhttp.resource import PREFIX
from mixminion.dirhttp.site import QuietChannel, QuietSite
from mixminion.interfaces import Clock
from mixminion.net.admission import Admission, Prefix, prefix_of
from mixminion.net.errors import TooManyConnections

DESCRIPTOR = PREFIX + b"descriptor"
VOTE = PREFIX + b"vote"
SIGNATURES = PREFIX + b"signatures"
STANDING = PREFIX + b"standing/"
UPLOADS: Mapping[bytes, int] = {
    DESCRIPTOR: descriptor.LIMIT,
    VOTE: vote.LIMIT,
    SIGNATURES: detached.LIMIT,
}
"""Octets of a body, by path."""

_PATH = re.compile(rb"[^?#]*")


@dataclass(frozen=True, slots=True)
class Allowances:
    """What one prefix may ask for: descriptors, votes and signatures, receipts."""

    descriptors: Allowance
    exchange: Allowance
    standings: Allowance

    @classmethod
    def of(cls, clock: Clock, uploads: int, authorities: int, interval: float) -> Allowances:
        """*uploads* descriptors in an hour; what *authorities* have to say to each other in a
        consensus *interval* even if all come from one address, four times over."""
        return cls(
            Allowance(clock, uploads, 3600.0),
            Allowance(clock, 64 + 8 * authorities**2, interval),
            Allowance(clock, 10 * uploads, 3600.0),
        )

    def take(self, path: bytes, prefix: Prefix | None) -> bool:
        """Whether a request for *path* may be answered."""
        if path == DESCRIPTOR:
            return self.descriptors.take(prefix)
        if path in (VOTE, SIGNATURES):
            return self.exchange.take(prefix)
        return not path.startswith(STANDING) or self.standings.take(prefix)


class AuthorityChannel(QuietChannel):
    """One connection; a body is not read before it is known to be wanted."""

    site: AuthoritySite
    _path: bytes

    @override
    def allHeadersReceived(self) -> None:
        if self._refused:
            return
        found = _PATH.match(self._path)
        path = found[0] if found else b""
        request: Any = self.requests[-1]
        prefix = prefix_of(getattr(request.getClientAddress(), "host", None))
        if (self.length or 0) > UPLOADS.get(path, 0):
            self._refuse(b"413 Content Too Large")
        elif not self.site.allowances.take(path, prefix):
            self._refuse(b"429 Too Many Requests")
        else:
            super().allHeadersReceived()


class AuthoritySite(QuietSite):
    """Serves *resource* within *allowances*, which may be replaced while it runs."""

    protocol: Any = AuthorityChannel

    def __init__(self, resource: IResource, clock: Clock, allowances: Allowances) -> None:
        super().__init__(resource, clock, longest_upload=max(UPLOADS.values()))
        self.allowances = allowances


class _Counted(ProtocolWrapper):
    """A connection that is counted while it is open."""

    prefix: Prefix | None = None

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        admitting: Any = self.factory
        admitting.admission.leave(self.prefix)


class Admitting(WrappingFactory[Any]):
    """Connections within *admission*; others are closed at once."""

    protocol = _Counted
    noisy = False

    def __init__(self, wrapped: Any, admission: Admission) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self.admission = admission

    @override
    def buildProtocol(self, addr: IAddress | None) -> Any:
        prefix = prefix_of(getattr(addr, "host", None))
        try:
            self.admission.enter(prefix)
        except TooManyConnections:
            return None
        protocol: Any = super().buildProtocol(addr)
        if protocol is None:
            self.admission.leave(prefix)
        else:
            protocol.prefix = prefix
        return protocol
