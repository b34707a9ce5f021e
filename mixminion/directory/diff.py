"""Differences: what turns one consensus, or key document, into another.

Both kinds of document are an object with one long array of entries, each with an ``identity``,
in the order of the identities; so a difference names the entries that came, went or changed, and
the members beside the array.  It is not signed: the result is checked as the document itself.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from typing_extensions import override

from mixminion.crypto import kdf
from mixminion.directory import canonical, consensus, documents, keydoc
from mixminion.directory.documents import Count, Digest, Document, ascending
from mixminion.directory.envelope import MOST_SIGNATURES, Envelope, Signature
from mixminion.directory.errors import BadDocument, WrongDigest

VERSION = 1
NAME = "difference"
LIMIT = keydoc.LIMIT
"""Octets of a difference."""

SERVERS = "servers"
KEYS = "keys"
_IDENTITY = "identity"

Object = dict[str, Any]
Positions = tuple[Count, ...]


class Difference(Document, frozen=True, kw_only=True):
    """Members are in ``doc/spec/directory.rst``; positions count from 0 in the old array."""

    version: int = documents.written(VERSION)
    from_: Digest = msgspec.field(name="from")  #: of the old document
    to: Digest  #: of the new one
    set: Object = msgspec.field(default_factory=dict)  #: members beside the array, new or others
    unset: tuple[str, ...] = ()  #: those that went
    removed: Positions = ()  #: of entries that went
    changed: Positions = ()  #: of entries whose members are others
    changes: tuple[Object, ...] = ()  #: of each of these, the members that are new or others
    dropped: tuple[tuple[str, ...], ...] = ()  #: of each, those that went; or nothing at all
    added: tuple[Object, ...] = ()  #: entries that came
    signatures: Annotated[tuple[Signature, ...], Meta(max_length=MOST_SIGNATURES)] = ()

    def __post_init__(self) -> None:
        if not ascending(self.removed) or not ascending(self.changed):
            raise ValueError("positions are not ascending")
        if len(self.changes) != len(self.changed):
            raise ValueError("there are more positions than changes, or fewer")
        if self.dropped and len(self.dropped) != len(self.changed):
            raise ValueError("there are more positions than dropped members, or fewer")
        if not {*self.removed}.isdisjoint(self.changed):
            raise ValueError("an entry is both changed and removed")

    @override
    def untyped(self) -> Iterable[object]:
        return (self.set, *self.changes, *self.added)


# -- consensuses, in their envelopes --------------------------------------------------------


def between_consensuses(old: bytes, new: bytes) -> bytes:
    """What turns one consensus into another, and has the other's signatures; both in their
    envelopes and verified.  They may be the same: then it has the signatures alone.

    :raises ValueError: there is no difference of this form.
    """
    before, after = _envelope(old), _envelope(new)
    return _between(before.payload, after.payload, SERVERS, after.signatures)


def apply_to_consensus(difference: bytes, old: bytes) -> bytes:
    """The new consensus in its envelope, to be verified as if it had been fetched; *old* is the
    one in its envelope that is held.

    :raises BadDocument: *difference* is malformed, or is not one from *old*.
    :raises WrongDigest: it does not lead to what it says.
    """
    before = _envelope(old)
    found = _read(difference)
    payload = _apply(found, before.payload, SERVERS, consensus.LIMIT)
    return Envelope(
        payload=payload, payload_type=before.payload_type, signatures=found.signatures
    ).encode()


# -- key documents ----------------------------------------------------------------------------


def between_keys(old: bytes, new: bytes) -> bytes:
    """What turns one key document into another of the same key period.

    :raises ValueError: there is no difference of this form.
    """
    return _between(old, new, KEYS)


def apply_to_keys(difference: bytes, old: bytes) -> bytes:
    """The new key document.

    :raises BadDocument: *difference* is malformed, or is not one from *old*.
    :raises WrongDigest: it does not lead to what it says.
    """
    return _apply(_read(difference), old, KEYS, keydoc.LIMIT)


# -- both ---------------------------------------------------------------------------------------


def _envelope(octets: bytes) -> Envelope:
    """An envelope that was verified before."""
    return msgspec.json.decode(octets, type=Envelope)


def _read(octets: bytes) -> Difference:
    return documents.decode(Difference, octets, name=NAME, version=VERSION, limit=LIMIT)


def _between(old: bytes, new: bytes, array: str, signatures: Sequence[Signature] = ()) -> bytes:
    before, after = msgspec.json.decode(old), msgspec.json.decode(new)
    entries, others = before.pop(array), after.pop(array)
    positions = {entry[_IDENTITY]: position for position, entry in enumerate(entries)}
    stay = {entry[_IDENTITY] for entry in others}
    changed: list[tuple[int, Object, tuple[str, ...]]] = []
    for entry in others:
        position = positions.get(entry[_IDENTITY])
        if position is not None:
            values, names = _members(entries[position], entry)
            if values or names:
                changed.append((position, values, names))
    beside, gone = _members(before, after)
    found = Difference(
        from_=kdf.sha256(old),
        to=kdf.sha256(new),
        set=beside,
        unset=gone,
        removed=tuple(place for identity, place in positions.items() if identity not in stay),
        changed=tuple(position for position, _, _ in changed),
        changes=tuple(values for _, values, _ in changed),
        dropped=tuple(names for _, _, names in changed) if any(d for _, _, d in changed) else (),
        added=tuple(entry for entry in others if entry[_IDENTITY] not in positions),
        signatures=tuple(signatures),
    )
    if _apply(found, old, array, len(new)) != new:
        raise ValueError("the difference does not lead back")
    return found.encode()


def _members(old: Object, new: Object) -> tuple[Object, tuple[str, ...]]:
    """The members of *new* that *old* has not, or others; the names that only *old* has."""
    values = {name: value for name, value in new.items() if not _same(old.get(name), value)}
    return values, tuple(sorted(name for name in old if name not in new))


def _same(one: object, other: object) -> bool:
    """Whether both are written alike; for Python 1 is true."""
    return one == other and (
        isinstance(one, str) or canonical.recode(one) == canonical.recode(other)
    )


def _apply(difference: Difference, old: bytes, array: str, limit: int) -> bytes:
    if kdf.sha256(old) != difference.from_:
        raise BadDocument(document=NAME, problem="it is of another document than the one held")
    document = msgspec.json.decode(old)
    try:
        entries = _entries(difference, document.pop(array))
        _change(document, difference.set, difference.unset)
        octets = canonical.recode({array: entries, **document})
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise BadDocument(document=NAME, problem="it does not fit the document held") from error
    if len(octets) > limit:
        raise BadDocument(document=NAME, problem=f"it makes more than {limit} octets")
    if kdf.sha256(octets) != difference.to:
        raise WrongDigest(document=NAME)
    return octets


def _entries(difference: Difference, entries: list[Object]) -> list[Object]:
    """The new array."""
    names = difference.dropped or ((),) * len(difference.changed)
    for position, members, gone in zip(difference.changed, difference.changes, names, strict=True):
        _change(entries[position], members, gone)
    went = {*difference.removed}
    if went and max(went) >= len(entries):
        raise LookupError
    stay = [entry for position, entry in enumerate(entries) if position not in went]
    return sorted([*stay, *difference.added], key=_identity)


def _change(members: Object, values: Mapping[str, Any], gone: Sequence[str]) -> None:
    for name in gone:
        del members[name]
    members.update(values)


def _identity(entry: Object) -> bytes:
    try:
        return base64.b64decode(entry[_IDENTITY], validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error
