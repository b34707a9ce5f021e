"""What the authorities say of this server, one by one, and what its operator should hear of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mixminion.directory.bootstrap import Authority
from mixminion.directory.receipt import Receipt, State
from mixminion.util.times import to_text


@dataclass(slots=True)
class Standing:
    """What is known of one authority: its last receipt, and how the last attempt to reach it
    ended.  Times are Unix seconds by our clock."""

    authority: Authority
    receipt: Receipt | None = None
    heard: float = 0.0  #: when the receipt came
    error: str | None = None  #: why the last attempt failed, in a word or two
    failed: float = 0.0  #: when it did

    @property
    def name(self) -> str:
        """What people call the authority."""
        return self.authority.nickname or self.authority.identity.hex()[:8]

    @property
    def state(self) -> State | None:
        """What it says; None as long as it has said nothing."""
        return None if self.receipt is None else self.receipt.state

    @property
    def reason(self) -> str:
        """The authority's own words, fit for a screen."""
        text = "" if self.receipt is None else self.receipt.reason
        return "".join(each for each in text if each.isprintable())

    def for_status(self, now: float, digest: bytes | None) -> Mapping[str, Any]:
        """JSON values; *digest* is of the descriptor that should be there."""
        receipt = self.receipt
        return {
            "authority": self.name,
            "url": self.authority.url or None,
            "state": None if receipt is None else str(receipt.state),
            "reason": self.reason or None,
            "in-consensus": None if receipt is None else receipt.listed,
            "current": receipt is not None and receipt.digest == digest,
            "heard": None if receipt is None else to_text(self.heard),
            "age": None if receipt is None else max(0, int(now - self.heard)),
            "error": self.error,
        }


_SAYING = (
    (State.BANNED, "Banned by {count}{reason}."),
    (State.REFUSED, "Refused by {count}{reason}."),
    (State.UNREACHABLE, "This server cannot be reached by {count}{reason}."),
    (State.WAITING, "Waiting for approval at {count}{reason}."),
)
_ALWAYS = (State.BANNED, State.REFUSED, State.UNREACHABLE)
"""What its operator should hear even of a server that is listed all the same."""


def attention(standings: Sequence[Standing]) -> Iterator[str]:
    """What there is to do or to wait for, the worst first, a sentence each; nothing once a
    majority lists this server and nobody finds fault with it."""
    total = len(standings)
    listed = sum(1 for each in standings if each.state is State.LISTED)
    enough = 2 * listed > total
    for state, sentence in _SAYING:
        those = [each for each in standings if each.state is state]
        if those and (state in _ALWAYS or not enough):
            yield sentence.format(count=_count(those, total), reason=_reasons(those))
    silent = [each for each in standings if each.error is not None]
    if 2 * len(silent) > total and not enough:
        said = "; ".join(f"{each.name}: {each.error}" for each in silent)
        yield (
            f"No good answer from {_count(silent, total)} ({said}): check the connection, and "
            "authorities in [Directory]."
        )


def _count(those: Sequence[Standing], total: int) -> str:
    """``2 of 3 authorities``."""
    return f"{len(those)} of {total} {'authority' if total == 1 else 'authorities'}"


def _reasons(those: Iterable[Standing]) -> str:
    """The authorities' words, each once."""
    reasons = dict.fromkeys(each.reason.rstrip(". ") for each in those if each.reason)
    return f": {'; '.join(reasons)}" if reasons else ""
