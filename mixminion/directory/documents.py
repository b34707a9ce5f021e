"""What all documents share: member names, encoding, decoding, and the types of their members.

A document is a canonical JSON object whose ``version`` says how to read the rest.  Members
that a reader does not know are ignored, and those that stand at their default may be left
out; both let formats grow, because what is signed and digested are octets, not values.
Octet strings are base64 (RFC 4648 4, padded); times are Unix seconds.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from mixminion.directory import canonical
from mixminion.directory.errors import BadDocument, NewerDocument
from mixminion.util import times

Key = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""A raw Ed25519 public key."""
Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""A SHA-256 digest."""
Time = Annotated[int, Meta(ge=0, le=times.LAST)]
"""Unix seconds, to the end of the year 9999: later ones cannot be written for people."""
Count = Annotated[int, Meta(ge=0, le=canonical.GREATEST)]
Positive = Annotated[int, Meta(ge=1, le=canonical.GREATEST)]
Nickname = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,19}\Z")]
Word = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9./+-]{0,31}\Z")]
"""A protocol, suite, flag or other fixed name."""
Text = Annotated[str, Meta(max_length=256)]


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", omit_defaults=True, gc=False):
    """An object inside a document.  ``valid_after`` here is ``valid-after`` there.

    Documents are trees of values, so that the garbage collector need not look into them: it took
    as long as reading them.
    """


class Document(Part, frozen=True, kw_only=True):
    """A whole document; ``version`` is the version of its own format, always written out."""

    version: int

    def encode(self) -> bytes:
        """The canonical octets."""
        return canonical.encode(msgspec.to_builtins(self))

    def untyped(self) -> Iterable[object]:
        """The values in it that may be anything."""
        return ()


def ascending(keys: Iterable[Any]) -> bool:
    """Whether *keys* stand in order, none twice."""
    return all(a < b for a, b in pairwise(keys))


def written(version: int) -> Any:
    """The default of a document's ``version``, which is not left out for being one."""
    return msgspec.field(default_factory=lambda: version)


D = TypeVar("D", bound=Document)


def decode(kind: type[D], octets: bytes, *, name: str, version: int, limit: int) -> D:
    """Read a document of *kind*; *name* is what people call it.

    :raises BadDocument: too long, not canonical, or a member is missing or wrong.
    :raises NewerDocument: its version is not *version*.
    """
    if len(octets) > limit:
        raise BadDocument(document=name, problem=f"longer than {limit} octets")
    quick = _quick(kind, octets, version)
    if quick is not None:
        return quick
    value: Any = canonical.decode(octets, document=name)
    found = value.get("version") if isinstance(value, dict) else None
    if not isinstance(found, int):
        raise BadDocument(document=name, problem="no version")
    if found != version:
        raise NewerDocument(document=name, version=found)
    try:
        return msgspec.json.decode(octets, type=kind)
    except msgspec.ValidationError as error:
        raise BadDocument(document=name, problem=str(error)) from None


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which would look again and again through what is being made:
    for a large document that took a third of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _quick(kind: type[D], octets: bytes, version: int) -> D | None:
    """The document when it is just what we would write ourselves, as nearly all are: one look
    instead of three.  None says nothing; the long way decides, and tells what is wrong."""
    try:
        with _uncollected():
            document = msgspec.json.decode(octets, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    good = (
        document.version == version
        and canonical.again(document, octets)
        and all(map(canonical.flat, document.untyped()))
    )
    return document if good else None
