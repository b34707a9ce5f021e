"""Directory documents as an HTTP resource.

``GET /mixminion/2/consensus``, ``/mixminion/2/keys/DIGEST`` and
``/mixminion/2/descriptor``; an ``ETag`` names the octets, so that what did not change is
not sent again.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from typing_extensions import override
from zope.interface import implementer

from mixminion.directory.checks import SignedConsensus
from mixminion.interfaces import Clock

PREFIX = b"/mixminion/2/"
_KEYS = re.compile(rb"keys/([0-9a-f]{64})")
_SLICE = 65_536
_DEADLINE = 900.0
"""Seconds until a client that does not read its answer is cut off."""


class Shelf(Protocol):
    """Where served documents stand; :class:`mixminion.dirhttp.cache.DocumentCache` is one."""

    descriptor: bytes | None

    @property
    def signed(self) -> SignedConsensus | None: ...

    def keys(self, digest: bytes) -> bytes | None: ...


def resource(cache: Shelf, clock: Clock) -> IResource:
    """The resource tree for a :class:`mixminion.dirhttp.site.QuietSite`."""
    return DocumentsResource(cache, clock)


class DocumentsResource(Resource):
    """The whole tree in one leaf: three paths, and nothing of a client's is parsed but them."""

    isLeaf = True

    def __init__(self, cache: Shelf, clock: Clock) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._cache = cache
        self._clock = clock

    @override
    def render(self, request: Request) -> bytes | int:
        request.responseHeaders.removeHeader(b"Server")
        request.setHeader(b"Date", http.datetimeToString(self._clock.seconds()))
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"Allow", b"GET, HEAD")
            return _plain(request, http.NOT_ALLOWED)
        octets = self._find(request.path)
        if octets is None:
            return _plain(request, http.NOT_FOUND)
        if request.setETag(_tag(octets)) is http.CACHED:
            return b""
        request.setHeader(b"Content-Type", b"application/json")
        request.setHeader(b"Content-Length", b"%d" % len(octets))
        if request.method == b"HEAD":
            return b""
        Transfer(request, octets, self._clock)
        return NOT_DONE_YET

    def _find(self, path: bytes) -> bytes | None:
        """The document at *path*."""
        name = path.removeprefix(PREFIX) if path.startswith(PREFIX) else b""
        if name == b"consensus":
            signed = self._cache.signed
            return None if signed is None else signed.octets
        if name == b"descriptor":
            return self._cache.descriptor
        keys = _KEYS.fullmatch(name)
        return None if keys is None else self._cache.keys(bytes.fromhex(keys[1].decode("ascii")))


@lru_cache(maxsize=4)
def _tag(octets: bytes) -> bytes:
    """The ETag of a document; a large one is not digested for every request."""
    return b'"%b"' % hashlib.sha256(octets).hexdigest().encode("ascii")


def _plain(request: Request, code: int) -> bytes:
    """An answer without a document; HEAD gets its headers alone."""
    request.setResponseCode(code)
    request.setHeader(b"Content-Type", b"text/plain")
    return b"" if request.method == b"HEAD" else http.RESPONSES[code] + b"\n"


@implementer(IPushProducer)
class Transfer:
    """Writes an answer as fast as the client reads it, for so long and no longer: a slow
    reader costs a slice of memory and not the document."""

    def __init__(self, request: Request, octets: bytes, clock: Clock) -> None:
        self._request = request
        self._rest = memoryview(octets)
        self._clock = clock
        self._next: IDelayedCall | None = None
        self._deadline = clock.callLater(_DEADLINE, self._cut)
        self._finished = request.notifyFinish().addBoth(self._ended)
        request.registerProducer(self, True)
        self._write()

    def resumeProducing(self) -> None:
        """The client reads on."""
        if self._next is None:
            self._write()

    def pauseProducing(self) -> None:
        """The transport has enough for now."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def stopProducing(self) -> None:
        """The connection is gone."""
        self.pauseProducing()

    def _write(self) -> None:
        piece, self._rest = self._rest[:_SLICE], self._rest[_SLICE:]
        # First, because writing may pause or resume this producer.
        self._next = self._clock.callLater(0, self._write) if self._rest else None
        self._request.write(bytes(piece))
        if not self._rest:
            self._request.unregisterProducer()
            self._request.finish()

    def _cut(self) -> None:
        transport: Any = self._request.transport
        transport.abortConnection()

    def _ended(self, result: Failure | None) -> None:
        self.pauseProducing()
        if self._deadline.active():
            self._deadline.cancel()
