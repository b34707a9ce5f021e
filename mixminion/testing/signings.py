"""Directories signed by hand again and again: what authorities would agree on as time passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mixminion.crypto import kdf
from mixminion.crypto import sign as ed25519
from mixminion.directory.consensus import LIMIT
from mixminion.directory.descriptor import Descriptor
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.testing.directory import Schedule, SignedDirectory, sign_directory

WAIT = 3
"""Consensus intervals from a server's first listing until paths may use it."""

MOST_VALID = 8
"""How many of the past ones are remembered."""


def always(geometry: PacketGeometry) -> Schedule:
    """One geometry for good."""
    return lambda number: geometry


def changing(first: PacketGeometry, changes: Mapping[int, PacketGeometry]) -> Schedule:
    """*first*, and another one from each of some key periods on."""

    def geometry(number: int) -> PacketGeometry:
        begun = [begins for begins in sorted(changes) if begins <= number]
        return changes[begun[-1]] if begun else first

    return geometry


class Signings:
    """One consensus after another: each names the one before, and servers that come later wait
    before they are used.

    *parameters* and *schedule* may be replaced at any time; the next consensus has them.
    """

    def __init__(self, parameters: Parameters, schedule: Schedule, *, authorities: int = 1) -> None:
        self.parameters = parameters
        self.schedule = schedule
        self._keys = [ed25519.generate() for _ in range(authorities)]
        self._usable_from: dict[bytes, int] = {}
        self._made: list[tuple[int, SignedDirectory]] = []  # by valid-until

    @property
    def authorities(self) -> tuple[bytes, ...]:
        """The identities of those who sign."""
        return tuple(public for _, public in self._keys)

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """Their private keys."""
        return tuple(private for private, _ in self._keys)

    def valid(self, now: float) -> list[SignedDirectory]:
        """Those that are still valid, the newest first."""
        return [signed for valid_until, signed in self._made if now < valid_until]

    def sign(self, descriptors: Sequence[bytes], now: float) -> SignedDirectory:
        """The consensus of *now*, of the servers that *descriptors* are of.

        :raises NothingToSign: two have one name.
        """
        listed = [Descriptor.verify(octets, now).identity for octets in descriptors]
        wait = WAIT * self.parameters.consensus_interval if self._made else 0
        self._usable_from = {
            identity: self._usable_from.get(identity, int(now) + wait) for identity in listed
        }
        signed = sign_directory(
            descriptors,
            self.secrets,
            now=now,
            parameters=self.parameters,
            schedule=self.schedule,
            previous=_digest(self._made[0][1]) if self._made else None,
            usable_from=self._usable_from,
        )
        valid_until = int(now) + self.parameters.consensus_valid
        self._made = [(valid_until, signed), *self._made[:MOST_VALID]]
        return signed


def _digest(signed: SignedDirectory) -> bytes:
    envelope = Envelope.decode(signed.consensus, PayloadType.CONSENSUS, limit=LIMIT)
    return kdf.sha256(envelope.payload)
