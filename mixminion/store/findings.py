"""What a start may find: what was lost, in sentences, and whether tags are in doubt.

A packet key accepts each packet once because the store remembers its tags.  Where tags may
be missing, the key has to go with them: *doubtful*.
"""

from __future__ import annotations

from typing import ClassVar

from mixminion.errors import OperatorError


class Finding(OperatorError):
    """Something that a start found and went on from."""

    doubtful: ClassVar[bool] = True


class StoreMissing(Finding):
    """There was a store for these keys, and there is none."""

    code = "store-missing"
    sentence = (
        "The store in {path} is gone and a new one was begun: what it held is lost, with the"
        " memory of which packets had been seen."
    )


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
        " begun: what it held is lost, with the memory of which packets had been seen."
        " Check the disk."
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
    sentence = (
        "The storage key of {incoming} accepted packets and {pooled} packets and messages of"
        " the pool is gone; they cannot be read any more and were removed."
    )
