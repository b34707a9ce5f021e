"""Which consensuses a server holds: enough to compare with others without fetching them.

Not signed: whoever sees a digest that differs from his own for one time fetches that consensus,
which is signed, from who showed it.
"""

from __future__ import annotations

from typing import Annotated, Self

from msgspec import Meta

from mixminion.directory import documents
from mixminion.directory.documents import Digest, Document, Part, Time

VERSION = 1
NAME = "list of digests"
LIMIT = 4096
"""Octets."""


class Held(Part, frozen=True, kw_only=True):
    """One consensus."""

    digest: Digest  #: of its payload
    valid_after: Time


class Digests(Document, frozen=True, kw_only=True):
    """The consensuses held, the newest first."""

    version: int = documents.written(VERSION)
    digests: Annotated[tuple[Held, ...], Meta(max_length=16)]

    @classmethod
    def read(cls, octets: bytes) -> Self:
        """:raises BadDocument: malformed."""
        return documents.decode(cls, octets, name=NAME, version=VERSION, limit=LIMIT)
