"""A sender that hands packets over once, for tests."""

from __future__ import annotations

from collections.abc import Sequence

from mixminion.errors import PeerError
from mixminion.interfaces import Refusal
from mixminion.mmtp.client import Link


class Sender:
    """A link's user with some packets to send, once each; keys are their places in line."""

    def __init__(self, packets: Sequence[bytes]) -> None:
        self._packets = packets
        self._next = 0
        self.received_keys: list[int] = []
        self.refusals: dict[int, Refusal] = {}
        self.left: list[int] = []
        self.over = False

    def opened(self, link: Link) -> None:
        """Begin."""
        self._link = link
        self._feed()

    def received(self, keys: list[int]) -> None:
        """On the mix's disk."""
        self.received_keys += keys
        self._feed()

    def refused(self, key: int, refusal: Refusal) -> None:
        """Not taken."""
        self.refusals[key] = refusal
        self._feed()

    def lost(self, unacknowledged: list[int], error: PeerError | None) -> None:
        """The end."""
        self.left = unacknowledged
        self.over = True

    def failed(self, failure: object) -> None:
        """There was no link."""
        self.left = list(range(len(self._packets)))
        self.over = True

    def _feed(self) -> None:
        while self._next < len(self._packets) and self._link.room:
            self._link.send(self._next, self._packets[self._next])
            self._next += 1
        if len(self.received_keys) + len(self.refusals) == len(self._packets):
            _ = self._link.close()
