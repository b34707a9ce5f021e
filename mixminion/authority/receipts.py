"""Receipts: what an authority answers a server about itself, signed."""

from __future__ import annotations

from collections.abc import Callable

from mixminion.authority.admission import Standing
from mixminion.authority.intake import Intake, Judged
from mixminion.directory.envelope import Signer
from mixminion.directory.receipt import Receipt, State
from mixminion.errors import render
from mixminion.interfaces import Clock

LONGEST = 256
"""Characters of a reason."""


class Receipts:
    """Makes receipts.  *listed* says whether the newest consensus lists an identity."""

    def __init__(
        self,
        *,
        clock: Clock,
        identity: bytes,
        signer: Callable[[], Signer],
        intake: Intake,
        listed: Callable[[bytes], bool],
    ) -> None:
        self._clock = clock
        self._identity = identity
        self._signer = signer
        self._intake = intake
        self._listed = listed

    def standing(self, identity: bytes) -> bytes:
        """Where that server stands now."""
        found, record = self._intake.standing(identity)
        held = None if record is None or record.described is None else record.described.digest
        return self._issue(identity, held, found)

    def of(self, judged: Judged) -> bytes:
        """What came of a descriptor: of a refused one why, whatever is held besides."""
        if judged.refusal is None:
            return self.standing(judged.identity)
        found, record = self._intake.standing(judged.identity)
        held = None if record is None or record.described is None else record.described.digest
        if found.state is not State.BANNED:
            found = Standing(State.REFUSED, render(judged.refusal))
        return self._issue(judged.identity, held, found)

    def _issue(self, identity: bytes, digest: bytes | None, found: Standing) -> bytes:
        receipt = Receipt(
            authority=self._identity,
            time=int(self._clock.seconds()),
            identity=identity,
            digest=digest,
            state=found.state,
            listed=self._listed(identity),
            reason=_short(found.reason),
        )
        return receipt.sign(self._signer())


def _short(reason: str) -> str:
    """As much as fits into a receipt."""
    return reason if len(reason) <= LONGEST else reason[: LONGEST - 3] + "..."
