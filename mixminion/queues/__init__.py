"""Queues of record ids: due times, back-off and expiry, one queue for each destination."""

from mixminion.queues.backoff import Backoff
from mixminion.queues.destination import DestinationQueue

__all__ = ["Backoff", "DestinationQueue"]
