"""Directory documents as an HTTP resource, below ``/mixminion/2/``.

What did not change is not sent again (``ETag``), what a client has half of is sent from there
on (``Range``), and all of it is compressed for those who can read that.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from typing_extensions import override
from zope.interface import implementer

from mixminion.dirhttp.catalogue import Catalogue, Item, Shelf
from mixminion.dirhttp.conditions import Beyond, accepts_gzip, part_of
from mixminion.dirhttp.files import InThread, inline
from mixminion.dirhttp.representations import Representation, Representations
from mixminion.interfaces import Clock

log = Logger()

PREFIX = b"/mixminion/2/"
_SLICE = 65_536
_DEADLINE = 900.0
"""Seconds until a client that does not read its answer is cut off."""


def resource(cache: Shelf, clock: Clock, in_thread: InThread = inline) -> IResource:
    """The resource tree for a :class:`mixminion.dirhttp.site.QuietSite`."""
    return DocumentsResource(cache, clock, in_thread)


class DocumentsResource(Resource):
    """The whole tree in one leaf: nothing of a client's is parsed but a few names and header
    fields.  Compressing and comparing documents happens in *in_thread*."""

    isLeaf = True

    def __init__(self, cache: Shelf, clock: Clock, in_thread: InThread = inline) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._catalogue = Catalogue(cache, in_thread)
        self._representations = Representations(in_thread)
        self._clock = clock

    @override
    def render(self, request: Request) -> bytes | int:
        request.responseHeaders.removeHeader(b"Server")
        request.setHeader(b"Date", http.datetimeToString(self._clock.seconds()))
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"Allow", b"GET, HEAD")
            return _plain(request, http.NOT_ALLOWED)
        path: bytes = request.path
        name = path.removeprefix(PREFIX) if path.startswith(PREFIX) else b""
        item = self._catalogue.find(name)
        if item is None:
            return _plain(request, http.NOT_FOUND)
        answer = Answer(request, self._clock)
        _ = Deferred.fromCoroutine(self._answer(answer, item)).addErrback(answer.failed)
        return NOT_DONE_YET

    async def _answer(self, answer: Answer, item: Item) -> None:
        wanted = accepts_gzip(answer.request.getHeader(b"accept-encoding"))
        found = await self._representations.get(item.name, item.load, compressed=wanted)
        answer.give(found)


class Answer:
    """One request under way, whose client may be gone by the time there is an answer."""

    def __init__(self, request: Request, clock: Clock) -> None:
        self.request = request
        self._clock = clock
        self._over = False
        _ = request.notifyFinish().addBoth(self._ended)

    def give(self, found: Representation | None) -> None:
        """Answer with a document, or that there is none."""
        if self._over:
            return
        request = self.request
        if found is None:
            self._short(_plain(request, http.NOT_FOUND))
            return
        request.setHeader(b"Vary", b"Accept-Encoding")
        request.setHeader(b"Accept-Ranges", b"bytes")
        if found.compressed:
            request.setHeader(b"Content-Encoding", b"gzip")
        if request.setETag(found.tag) is http.CACHED:
            self._short(b"")
            return
        request.setHeader(b"Content-Type", b"application/json")
        part = self._part(found)
        if part is None:
            request.setHeader(b"Content-Range", b"bytes */%d" % len(found.octets))
            request.responseHeaders.removeHeader(b"Content-Encoding")
            self._short(_plain(request, http.REQUESTED_RANGE_NOT_SATISFIABLE))
            return
        first, end = part
        request.setHeader(b"Content-Length", b"%d" % (end - first))
        if request.method == b"HEAD":
            self._short(b"")
        else:
            Transfer(request, found, self._clock, first, end)

    def failed(self, failure: Failure) -> None:
        """A defect of ours, or a disk that cannot be read."""
        log.failure("A document could not be served.", failure)
        if not self._over:
            self._short(_plain(self.request, http.INTERNAL_SERVER_ERROR))

    def _part(self, found: Representation) -> tuple[int, int] | None:
        """The octets that are asked for; None when there are none of these."""
        request, length = self.request, len(found.octets)
        only_if = request.getHeader(b"if-range")
        if request.method != b"GET" or only_if not in (None, found.tag):
            return 0, length
        part = part_of(request.getHeader(b"range"), length)
        if part is None:
            return 0, length
        if isinstance(part, Beyond):
            return None
        request.setResponseCode(http.PARTIAL_CONTENT)
        request.setHeader(b"Content-Range", b"bytes %d-%d/%d" % (part[0], part[1] - 1, length))
        return part

    def _short(self, body: bytes) -> None:
        if body:
            self.request.setHeader(b"Content-Length", b"%d" % len(body))
        self.request.write(body)
        self.request.finish()

    def _ended(self, result: Failure | None) -> None:
        self._over = True


def _plain(request: Request, code: int) -> bytes:
    """An answer without a document; HEAD gets its headers alone."""
    request.setResponseCode(code)
    request.setHeader(b"Content-Type", b"text/plain")
    return b"" if request.method == b"HEAD" else http.RESPONSES[code] + b"\n"


@implementer(IPushProducer)
class Transfer:
    """Writes an answer as fast as the client reads it, for so long and no longer: a slow
    reader costs a slice of memory and not the document."""

    def __init__(
        self, request: Request, found: Representation, clock: Clock, first: int, end: int
    ) -> None:
        self._request = request
        self._found = found  # shared with others, as long as one of them reads it
        self._rest = memoryview(found.octets)[first:end]
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
