"""Answers as they come: bounded, unpacked, and put together from several connections."""

from __future__ import annotations

import re
import zlib

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.iweb import IResponse
from typing_extensions import override

_STRONG = re.compile(rb'"[!#-~]{1,128}"')
_GZIP = 16 + zlib.MAX_WBITS
_PART = re.compile(rb"bytes ([0-9]{1,15})-[0-9]{1,15}/(?:[0-9]{1,15}|\*)", re.ASCII)


class Status(Exception):
    """An answer that is no document."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


def _field(response: IResponse, name: bytes) -> bytes:
    """A header field; empty where there is none, or several."""
    values = response.headers.getRawHeaders(name, [])
    return values[0] if len(values) == 1 else b""


class Collected:
    """An answer as it comes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.code = 0
        self.octets = bytearray()

    def begin(self, response: IResponse) -> None:
        """An answer begins."""
        self.code = response.code

    def add(self, data: bytes) -> None:
        """Some more of it has come.

        :raises ValueError: it is too long.
        """
        self.octets += data
        if len(self.octets) > self.limit:
            raise ValueError


class Download(Collected):
    """A document, over as many connections as it takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._tag: bytes | None = None
        self._compressed = False

    @property
    def goes_on(self) -> bool:
        """Whether what is missing can be asked for."""
        return self._tag is not None and bool(self.octets)

    def condition(self) -> dict[bytes, bytes]:
        """Header fields that ask for what is missing."""
        if self._tag is None or not self.octets:
            return {}
        return {b"Range": b"bytes=%d-" % len(self.octets), b"If-Range": self._tag}

    @override
    def begin(self, response: IResponse) -> None:
        super().begin(response)
        tag = _field(response, b"ETag")
        if response.code == 206 and self.octets:
            part = _PART.fullmatch(_field(response, b"Content-Range"))
            if part is None or int(part[1]) != len(self.octets) or tag != self._tag:
                self._spoil()
            return
        self.octets.clear()
        if response.code != 200:
            self._tag = None
            raise Status(response.code)
        coding = _field(response, b"Content-Encoding").lower()
        if coding not in (b"", b"identity", b"gzip"):
            self._spoil()
        self._compressed = coding == b"gzip"
        self._tag = tag if _STRONG.fullmatch(tag) else None

    @override
    def add(self, data: bytes) -> None:
        try:
            super().add(data)
        except ValueError:
            self._spoil()

    def whole(self) -> bytes:
        """The document.

        :raises ValueError: it is not what its header says, or too long once it is unpacked.
        """
        octets = bytes(self.octets)
        if self._compressed:
            unpacking = zlib.decompressobj(_GZIP)
            try:
                octets = unpacking.decompress(octets, self.limit + 1)
            except zlib.error:
                self._spoil()
            if not unpacking.eof or unpacking.unused_data or len(octets) > self.limit:
                self._spoil()
        return octets

    def _spoil(self) -> None:
        """No further connection would make it better."""
        self._tag = None
        raise ValueError


class Body(Protocol):
    """Puts a body where it is collected; ``ended`` fires when it is whole."""

    def __init__(self, into: Collected) -> None:
        self._into = into
        self.ended: Deferred[None] = Deferred()

    @override
    def dataReceived(self, data: bytes) -> None:
        if not self.ended.called:
            try:
                self._into.add(data)
            except ValueError:
                self.ended.errback()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.ended.called:
            return
        if reason.check(ResponseDone):
            self.ended.callback(None)
        else:
            self.ended.errback(reason)
