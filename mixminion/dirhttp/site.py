"""An HTTP server that bounds what clients send and says nothing about them."""

from __future__ import annotations

from typing import Any

from twisted.web import server
from twisted.web.http import HTTPChannel, Request
from twisted.web.resource import IResource
from typing_extensions import override

from mixminion.interfaces import Clock

REQUEST = 60.0
"""Seconds in which a request must have come whole, after the connection or the last one."""

_DIGITS = 20
"""Of a length that anybody could mean."""


class QuietChannel(HTTPChannel):
    """One connection: a short header, a body no longer than its site allows, no log."""

    maxHeaders = 32
    totalHeadersSize = MAX_LENGTH = 8192
    site: QuietSite
    transport: Any
    _refused = False

    @override
    def headerReceived(self, line: bytes) -> bool:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and len(value.strip()) > _DIGITS:
            # int() would raise what nobody catches.
            self._refuse(b"400 Bad Request")
            return False
        received: bool = super().headerReceived(line)  # type: ignore[no-untyped-call]
        return received

    @override
    def allHeadersReceived(self) -> None:
        if self._refused:
            return
        # An upload without a length could be any; twisted.web would spool it to disk.
        if self.length is None:
            self._refuse(b"411 Length Required")
        elif self.length > self.site.longest_upload:
            self._refuse(b"413 Content Too Large")
        else:
            super().allHeadersReceived()  # type: ignore[no-untyped-call]

    @override
    def allContentReceived(self) -> None:
        if not self._refused:
            super().allContentReceived()  # type: ignore[no-untyped-call]

    @override
    def rawDataReceived(self, data: bytes) -> None:
        if not self._refused:
            super().rawDataReceived(data)

    @override
    def lineLengthExceeded(self, line: bytes) -> None:
        # The base class asks the transport, which waits for a producer that never ends: us.
        self.loseConnection()  # type: ignore[no-untyped-call]

    @override
    def resetTimeout(self) -> None:
        """A header that comes octet by octet gets no more time than any other."""

    @override
    def timeoutConnection(self) -> None:
        # As the base class does, which would log the client's address.
        self._abortingCall = self.callLater(  # type: ignore[no-untyped-call]
            self.abortTimeout, self.forceAbortClient
        )
        self.loseConnection()  # type: ignore[no-untyped-call]

    @override
    def forceAbortClient(self) -> None:
        self._abortingCall = None
        self.transport.abortConnection()

    def _refuse(self, status: bytes) -> None:
        self._refused = True
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        self.loseConnection()  # type: ignore[no-untyped-call]


class QuietSite(server.Site):
    """Serves *resource* without an access log, for a listening port or behind ALPN.

    *longest_upload* bounds a request's body in octets; none is taken unless it is given.
    """

    noisy = False
    protocol: Any = QuietChannel

    def __init__(self, resource: IResource, clock: Clock, *, longest_upload: int = 0) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            resource, parsePOSTFormSubmission=False, reactor=clock, timeout=REQUEST
        )
        self.longest_upload = longest_upload

    @override
    def startFactory(self) -> None:
        """No access log is opened, and no clock ticks for one."""

    @override
    def stopFactory(self) -> None:
        """Nothing was opened."""

    @override
    def log(self, request: Request) -> None:
        """Clients are not logged."""
