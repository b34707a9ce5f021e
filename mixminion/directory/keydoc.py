"""All servers' packet keys of one key period, in one document named by its digest.

Nobody fetches single keys: that would tell his path.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from mixminion.crypto import kdf
from mixminion.directory import documents
from mixminion.directory.documents import Count, Document, Key, Part, Word, ascending
from mixminion.directory.errors import WrongDigest
from mixminion.directory.parameters import SUITES

VERSION = 1
NAME = "key document"
LIMIT = 34 * 2**20
"""Octets: 20,000 servers with keys of suite xwing."""


class ServerKey(Part, frozen=True):
    """One server's public packet key."""

    identity: Key
    key: bytes


class KeyDocument(Document, frozen=True, kw_only=True):
    """The packet keys of a key period, ascending by identity.

    It is not signed: the consensus names it by the SHA-256 of its octets.
    """

    version: int = documents.written(VERSION)
    period: Count
    suite: Word
    keys: tuple[ServerKey, ...]

    def __post_init__(self) -> None:
        if not ascending(each.identity for each in self.keys):
            raise ValueError("the keys are not ascending by identity")
        suite = SUITES.get(self.suite)
        if suite is not None and any(len(each.key) != suite.key_length for each in self.keys):
            raise ValueError("a packet key has not the length of its suite")

    def __iter__(self) -> Iterator[ServerKey]:
        return iter(self.keys)

    @classmethod
    def read(cls, octets: bytes, digest: bytes) -> Self:
        """Read the key document named by *digest*.

        :raises WrongDigest: *octets* are something else.
        :raises BadDocument: malformed.
        """
        if kdf.sha256(octets) != digest:
            raise WrongDigest(document=NAME)
        return documents.decode(cls, octets, name=NAME, version=VERSION, limit=LIMIT)
