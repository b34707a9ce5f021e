"""What a start or a check may find: what was lost, in sentences, and whether tags are in doubt.

A packet key accepts each packet once because the store remembers its tags.  Where tags may
be missing, the key has to go with them: *doubtful*.

A start tells what it found and did, a check what the next start will find and do.  A finding that
says the same in both cases has one sentence; the others have a second one, *ahead*.
"""

from __future__ import annotations

from typing import ClassVar

from mixminion.errors import OperatorError

_GONE = (
    "The storage key of {incoming} accepted packets and {pooled} packets and messages of the pool"
    " is gone; they cannot be read any more"
)
_ALL = "what it held is lost, with the memory of which packets had been seen."


class Finding(OperatorError):
    """Something that a start found and went on from."""

    doubtful: ClassVar[bool] = True
    ahead: ClassVar[str] = ""  #: the sentence before the start, where it is another one


def foretold(finding: Finding) -> str:
    """The sentence of a *finding* that is known before the start."""
    return (finding.ahead or finding.sentence).format_map(finding.fields)


class StoreMissing(Finding):
    """There was a store for these keys, and there is none."""

    code = "store-missing"
    sentence = "The store in {path} is gone and a new one was begun: " + _ALL
    ahead = "The store in {path} is gone; the next start begins a new one: " + _ALL


class StorePutBack(Finding):
    """The store is older than what is known of it elsewhere."""

    code = "store-put-back"
    sentence = (
        "The store in {path} is an older copy of itself: what was accepted since then is lost,"
        " what was sent on since then goes out again, and the memory of which packets had been"
        " seen since is gone."
    )


class StoreSetAside(Finding):
    """The store was damaged and there is a new one in its place."""

    code = "store-set-aside"
    sentence = (
        "The store in {path} was damaged ({problem}); it was moved to {aside} and a new one was"
        f" begun: {_ALL} Check the disk."
    )
    ahead = (
        "The store in {path} is damaged ({problem}); the next start moves it aside and begins a"
        f" new one: {_ALL} Check the disk."
    )


class KeysPutBack(Finding):
    """The keys are older than the store."""

    code = "keys-put-back"
    sentence = (
        "The keys in {keys} are an older copy than the store: keys that had been erased may be"
        " among them."
    )


class KeysMissing(Finding):
    """Nothing beside the keys knows of the store, which has been used: another folder, a new
    one, or memory that lost power."""

    code = "keys-missing"
    sentence = (
        "The keys that were in {keys} are gone (kept in {kind}): packets on their way that were"
        " made for the old packet keys are lost."
    )


class Restored(Finding):
    """Store and keys both are older than the descriptor that was published."""

    code = "restored"
    sentence = (
        "Store and keys are an older copy of themselves, or another machine runs this server as"
        " well: the memory of which packets had been seen is not complete. Stop the other one"
        " if there is one."
    )


class RecordsLost(Finding):
    """Records whose storage key is gone."""

    doubtful = False
    code = "records-lost"
    sentence = f"{_GONE} and were removed."
    ahead = f"{_GONE}, and the next start removes them."


class Remark(Finding):
    """What a check finds and a start says nothing of, for a start does nothing about it."""

    doubtful = False


class PagesDamaged(Remark):
    """LMDB's file does not hold together; a start reads little of it."""

    code = "store-pages-damaged"
    sentence = (
        "The store in {path} is damaged ({problem}), and the next start may not notice or may fail:"
        f" move it away, then that start begins a new one; {_ALL} Check the disk."
    )


class RecordsDamaged(Remark):
    """Records that are not what was sealed."""

    code = "records-damaged"
    sentence = (
        "{incoming} accepted packets and {pooled} packets and messages of the pool are damaged"
        " and lost; the server that is started next removes each when its turn comes."
        " Check the disk."
    )


class RecordsForeign(Remark):
    """Entries that this program did not write."""

    code = "records-foreign"
    sentence = (
        "Entries of the store are none that this program writes ({count} of them), and nobody knows"
        " what they were; the next start leaves them, and they are never sent. Check the disk."
    )


class TagsDamaged(Remark):
    """Tags that are none."""

    code = "tags-damaged"
    sentence = (
        "Tags of packets seen are damaged ({count} of them): such a packet may be taken in once"
        " more, and the next start does not notice it. Check the disk."
    )


class Harmless(Remark):
    """Nothing is wrong, and it is worth knowing."""


class StoreNew(Harmless):
    """There is no store, and there never was one."""

    code = "store-new"
    sentence = "There is no store in {path} yet: the first start makes it."


class StoreOld(Harmless):
    """The store is of an earlier format."""

    code = "store-old"
    sentence = (
        "The store in {path} has format {found}: the next start upgrades it to format {known}, for"
        " which it needs as much room again."
    )


class UpgradeInterrupted(Harmless):
    """There is what an upgrade leaves behind that was cut short."""

    code = "upgrade-interrupted"
    sentence = "An upgrade was interrupted and left {path}: the next start removes that."


class RecordsUnchecked(Harmless):
    """Their storage key may be in a file that could not be read."""

    code = "records-unchecked"
    sentence = (
        "Records could not be looked at ({count} of them), since there are storage keys that cannot"
        " be read."
    )


class RecordsLate(Harmless):
    """A clock was wrong."""

    code = "records-late"
    sentence = (
        "Packets and messages of the pool are due later than any delay allows ({count} of them),"
        " since a clock was wrong: after the next start they wait no longer than all others."
    )


class KeysUnfinished(Harmless):
    """Half of a file of a key."""

    code = "keys-unfinished"
    sentence = (
        "Half written or half erased keys are in {keys} ({count} of them): the next start erases"
        " them."
    )
