"""The store of a server: one LMDB environment for spool and tags, owned by one thread."""

from mixminion.store.errors import (
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreTooNew,
    StoreUnusable,
)
from mixminion.store.executors import Executor, InlineExecutor, ThreadExecutor
from mixminion.store.findings import Finding
from mixminion.store.opening import Started
from mixminion.store.store import Store
from mixminion.store.values import (
    DROPPED,
    GONE,
    REPLAY,
    Counts,
    Entry,
    Pooled,
    Refused,
    Step,
    Verdict,
    Waiting,
)

__all__ = [
    "DROPPED",
    "GONE",
    "REPLAY",
    "Counts",
    "Entry",
    "Executor",
    "Finding",
    "InlineExecutor",
    "Pooled",
    "Refused",
    "Started",
    "Step",
    "Store",
    "StoreClosed",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "StoreTooNew",
    "StoreUnusable",
    "ThreadExecutor",
    "Verdict",
    "Waiting",
]
