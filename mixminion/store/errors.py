"""What can go wrong with the store: all of it is the operator's."""

from __future__ import annotations

from mixminion.errors import EX_CANTCREAT, EX_TEMPFAIL, OperatorError


class StoreError(OperatorError):
    """An operation was not done, and nothing of it is on disk; it may be tried again."""

    code = "store"
    sentence = "The store could not write ({problem}). Look at the disk it is on."
    exit_code = EX_TEMPFAIL


class StoreFull(StoreError):
    """The store takes nothing in, so that what it holds can still drain."""

    code = "store-full"
    sentence = "The store is full. Give it more room, or wait until it has drained."


class StoreClosed(StoreError):
    """The store is closed or closing."""

    code = "store-closed"
    sentence = "The store is closed."


class StoreUnusable(OperatorError):
    """There is no opening this store."""

    code = "store-unusable"
    sentence = (
        "The store in {path} cannot be opened ({problem}). Check the disk, which may be full, and "
        "the directory."
    )
    exit_code = EX_CANTCREAT


class StoreDamaged(StoreUnusable):
    """The file is not a store of ours, or not all of it is there."""

    code = "store-damaged"
    sentence = "The store in {path} is damaged ({problem}). Move it away and start with none."


class StoreTooNew(StoreUnusable):
    """A later Mixminion wrote this store."""

    code = "store-too-new"
    sentence = (
        "The store in {path} has format {found}, and this Mixminion knows formats up to {known}."
        " Run the newer Mixminion again, or move the store away."
    )
