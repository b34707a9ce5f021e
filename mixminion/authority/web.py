"""What an authority serves and takes over HTTP; paths are in ``doc/spec/directory.rst``.

Documents are served as every server serves them (:mod:`mixminion.dirhttp.resource`); the rest
is here.  Nobody is logged.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from typing_extensions import override

from mixminion.authority.intake import Intake
from mixminion.authority.receipts import Receipts
from mixminion.authority.site import DESCRIPTOR, SIGNATURES, STANDING, VOTE
from mixminion.dirhttp.representations import represent
from mixminion.dirhttp.resource import PREFIX, Answer
from mixminion.errors import MixminionError, PeerError, render
from mixminion.interfaces import Clock

log = Logger()

_STANDING = re.compile(re.escape(STANDING) + rb"([0-9a-f]{64})")
_DESCRIPTORS = re.compile(re.escape(PREFIX) + rb"descriptors/([0-9a-f]{64})")
_VOTES = re.compile(re.escape(PREFIX) + rb"votes/([0-9]{1,12})/([0-9a-f]{64})")
_EVIDENCE = re.compile(re.escape(PREFIX) + rb"evidence/([0-9]{1,12})/([0-9a-f]{64})")
_SIGNATURES = re.compile(re.escape(PREFIX) + rb"signatures/([0-9]{1,12})")


class Exchange(Protocol):
    """What the exchange of votes and signatures has to do with HTTP."""

    def offered(self, octets: bytes, /) -> str | None:
        """A vote in its envelope; None, or a word that says why it is not taken."""

    def signatures_offered(self, octets: bytes, /) -> str | None:
        """The same for detached signatures."""

    def vote(self, valid_after: int, identity: bytes, /) -> bytes | None:
        """A vote that was accepted, in its envelope."""

    def signatures(self, valid_after: int, /) -> bytes | None:
        """The signatures on a consensus, as far as they are known."""

    def evidence(self, valid_after: int, identity: bytes, /) -> bytes | None:
        """Two votes of one authority for one instant."""


class AuthorityResource(Resource):
    """The whole tree in one leaf.  *exchange* is asked each time, since it changes when the
    authority is reloaded; None while it does not run."""

    isLeaf = True

    def __init__(
        self,
        *,
        clock: Clock,
        documents: IResource,
        intake: Intake,
        receipts: Receipts,
        descriptors: Callable[[bytes], bytes | None],
        exchange: Callable[[], Exchange | None],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._clock = clock
        self._documents = documents
        self._intake = intake
        self._receipts = receipts
        self._descriptors = descriptors
        self._exchange = exchange

    @override
    def render(self, request: Request) -> bytes | int:
        if request.method == b"POST" and request.path in (DESCRIPTOR, VOTE, SIGNATURES):
            self._head(request)
            return self._posted(request)
        octets = self._found(request.path) if request.method in (b"GET", b"HEAD") else None
        if octets is None:
            answer: bytes | int = self._documents.render(request)
            return answer
        self._head(request)
        return self._answer(request, octets)

    def _head(self, request: Request) -> None:
        request.responseHeaders.removeHeader(b"Server")
        request.setHeader(b"Date", http.datetimeToString(self._clock.seconds()))

    # -- taken -----------------------------------------------------------------------------------

    def _posted(self, request: Request) -> bytes | int:
        content: Any = request.content
        octets: bytes = content.read()
        if request.path == DESCRIPTOR:
            _ = Deferred.fromCoroutine(self._described(request, octets))
            return NOT_DONE_YET
        exchange = self._exchange()
        if exchange is None:
            return _plain(request, http.SERVICE_UNAVAILABLE, "not-ready")
        take = exchange.offered if request.path == VOTE else exchange.signatures_offered
        word = take(octets)
        if word is not None:
            return _plain(request, http.BAD_REQUEST, word)
        return _plain(request, http.ACCEPTED, "accepted")

    async def _described(self, request: Request, octets: bytes) -> None:
        gone: list[Failure] = []
        _ = request.notifyFinish().addErrback(gone.append)
        try:
            receipt = self._receipts.of(await self._intake.offer(octets))
        except PeerError as error:
            answer = _plain(request, http.BAD_REQUEST, render(error))
        except Exception as error:
            if isinstance(error, MixminionError):
                log.error("A descriptor could not be kept. {sentence}", sentence=render(error))
            else:
                log.failure("A descriptor could not be judged.")
            answer = _plain(request, http.SERVICE_UNAVAILABLE, "not-kept")
        else:
            request.setHeader(b"Content-Type", b"application/json")
            request.setHeader(b"Content-Length", b"%d" % len(receipt))
            answer = receipt
        if not gone:
            request.write(answer)
            request.finish()

    # -- served ----------------------------------------------------------------------------------

    def _found(self, path: bytes) -> bytes | None:
        if found := _STANDING.fullmatch(path):
            return self._receipts.standing(_octets(found[1]))
        if found := _DESCRIPTORS.fullmatch(path):
            return self._descriptors(_octets(found[1]))
        exchange = self._exchange()
        if exchange is None:
            return None
        if found := _VOTES.fullmatch(path):
            return exchange.vote(int(found[1]), _octets(found[2]))
        if found := _EVIDENCE.fullmatch(path):
            return exchange.evidence(int(found[1]), _octets(found[2]))
        if found := _SIGNATURES.fullmatch(path):
            return exchange.signatures(int(found[1]))
        return None

    def _answer(self, request: Request, octets: bytes) -> int:
        request.setHeader(b"Cache-Control", b"no-store")
        Answer(request, self._clock).give(represent(octets, compressed=False))
        return NOT_DONE_YET


def _octets(text: bytes) -> bytes:
    return bytes.fromhex(text.decode("ascii"))


def _plain(request: Request, code: int, text: str) -> bytes:
    octets = text.encode("utf-8") + b"\n"
    request.setResponseCode(code)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"Content-Length", b"%d" % len(octets))
    return octets
