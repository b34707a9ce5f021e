"""The page behind the link in each mail: whoever presses its button gets no more mail.

Only POST acts (RFC 8058), since programs that look for viruses follow every link they see.  A
request says nothing about who asks but a token; nothing of it is logged.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from typing_extensions import override

from mixminion.crypto.aead import Forged
from mixminion.exits.templates import Templates
from mixminion.exits.tokens import Tokens
from mixminion.util import faults

log = Logger()

LONGEST_BODY = 4096
"""Octets of a POST."""

MOST_CONNECTIONS = 200

_ONE_CLICK = re.compile(
    # as a form is sent in either way
    rb"(^|&)List-Unsubscribe=One-Click(&|$)"
    rb'|name="?List-Unsubscribe"?[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\nOne-Click\r\n',
    re.IGNORECASE,
)
_HEADERS = {
    b"Content-Type": b"text/html; charset=utf-8",
    b"Cache-Control": b"no-store",
    b"Referrer-Policy": b"no-referrer",
    b"X-Content-Type-Options": b"nosniff",
    b"Content-Security-Policy": (
        b"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
}


class OptOutPage(Resource):
    """Every path whose last part is a token; *opt_out* takes the entry of its recipient."""

    isLeaf = True

    def __init__(
        self,
        tokens: Tokens,
        templates: Callable[[], Templates],
        values: dict[str, str],
        opt_out: Callable[[bytes], Awaitable[object]],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tokens = tokens
        self._templates = templates
        self._values = values
        self._opt_out = opt_out

    def render_GET(self, request: Request) -> bytes:
        """The page with the button.  It does nothing."""
        if self._entry(request) is None:
            return self._page(request, "unknown.html", http.NOT_FOUND)
        return self._page(request, "opt-out.html", http.OK)

    @override
    def render_HEAD(self, request: Request) -> bytes:
        """Nothing of the page: twisted.web would log what is asked for to say so itself."""
        self.render_GET(request)
        return b""

    def render_POST(self, request: Request) -> Any:
        """The button, or a mail program's own."""
        entry = self._entry(request)
        if entry is None:
            return self._page(request, "unknown.html", http.NOT_FOUND)
        body: Any = request.content
        if not _ONE_CLICK.search(body.read(LONGEST_BODY)):
            return self._page(request, "opt-out.html", http.BAD_REQUEST)
        gone: list[object] = []
        _ = request.notifyFinish().addErrback(gone.append)
        _ = ensureDeferred(self._act(request, entry, gone))
        return NOT_DONE_YET

    async def _act(self, request: Request, entry: bytes, gone: list[object]) -> None:
        try:
            await self._opt_out(entry)
        except Exception as error:
            log.error("Somebody's wish could not be stored: {report}", report=faults.report(error))
            name, code = "busy.html", http.SERVICE_UNAVAILABLE
        else:
            name, code = "opted-out.html", http.OK
        if not gone:
            request.write(self._page(request, name, code))
            request.finish()

    def _entry(self, request: Request) -> bytes | None:
        path: bytes = request.path
        try:
            return self._tokens.from_link(path.rpartition(b"/")[2].decode("latin-1"))
        except Forged:
            return None

    def _page(self, request: Request, name: str, code: int) -> bytes:
        request.setResponseCode(code)
        for header, value in _HEADERS.items():
            request.setHeader(header, value)
        return self._templates().fill(name, **self._values).encode()
