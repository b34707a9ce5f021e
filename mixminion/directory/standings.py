"""Who signed a consensus, name by name: what people are shown of its signatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mixminion.directory import certificate, checks
from mixminion.directory.bootstrap import Authority
from mixminion.directory.checks import Standing, Tally
from mixminion.directory.envelope import Envelope, Signature, key_id
from mixminion.directory.errors import BadDocument


@dataclass(frozen=True, slots=True)
class Stranger:
    """Whose signature on a document is, who is not in the configuration; not checked."""

    keyid: str  #: of the key that signed, 64 hexadecimal digits
    identity: bytes | None  #: whose key that is, as its certificate claims; None without one


@dataclass(frozen=True, slots=True)
class Standings:
    """The signatures on one consensus: each known authority's standing, in the configuration's
    order, and who else signed."""

    authorities: tuple[tuple[Authority, Standing], ...]
    strangers: tuple[Stranger, ...]
    tally: Tally

    @property
    def signed(self) -> tuple[Authority, ...]:
        """The known authorities whose signatures are good."""
        return tuple(each for each, standing in self.authorities if standing is Standing.SIGNED)


def standings(envelope: Envelope, authorities: Sequence[Authority], now: float) -> Standings:
    """Who signed *envelope*, by certificates that are valid at *now*."""
    tally = checks.count(envelope, [each.identity for each in authorities], now)
    known = tuple((each, tally.standings[each.identity]) for each in authorities)
    claimed = [_claimed(signature) for signature in envelope.signatures]
    keyids = {key_id(each.identity) for each in authorities}
    return Standings(
        known,
        tuple(
            each
            for each in claimed
            if each.keyid not in keyids
            if each.identity not in tally.standings
        ),
        tally,
    )


def _claimed(signature: Signature) -> Stranger:
    if signature.certificate is None:
        return Stranger(signature.keyid, None)
    try:
        return Stranger(signature.keyid, certificate.read(signature.certificate).identity)
    except BadDocument:
        return Stranger(signature.keyid, None)
