"""What happens while a command works, in sentences for people: one place for all commands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from mixminion import api
from mixminion.util import times


class Weight(Enum):
    """Who is to read a sentence."""

    DETAIL = "detail"  #: who asked with --verbose
    NOTE = "note"  #: everybody but who asked for quiet
    WARNING = "warning"  #: everybody


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line."""

    text: str
    weight: Weight = Weight.NOTE


FINDINGS = {
    "same": "has the same directory",
    "forked": "has another directory for the same time, signed by authorities as well",
    "unsigned": "claims another directory for the same time, but has none",
    "other-times": "has directories of other times",
    "silent": "does not say which directory it has",
}


def of(event: api.Event, *, verbose: bool) -> Iterator[Sentence]:
    """What is to be said of *event*; with *verbose* more is in a sentence."""
    match event:
        case api.LeftOut(names):
            yield Sentence(f"left out of the header: {', '.join(names)}")
        case api.Fetching():
            yield Sentence("fetching the directory")
        case api.Asked(source, document, error):
            yield Sentence(_asked(source, document, error), Weight.DETAIL)
        case api.Compared(source, finding):
            yield Sentence(f"{source} {FINDINGS[finding.value]}", Weight.DETAIL)
        case api.AskingForKey(source, where, tells):
            learns = ": whoever runs it learns whose key you want" if tells else ""
            yield Sentence(f"asking the source {source} ({where}){learns}")
            if where.startswith("http://"):
                spoilt = "warning: without https anybody on the way can give you another key"
                yield Sentence(spoilt, Weight.WARNING)
        case api.Encrypted():
            yield from _encrypted(event)
        case api.Warned(warning):
            yield Sentence(f"warning: {warning}", Weight.WARNING)
        case api.PathChosen(path, warnings):
            through = ", ".join(server.nickname for server in path)
            yield Sentence(f"chose a path of {len(path)}{f': {through}' if verbose else ''}")
            for warning in warnings:
                yield Sentence(f"warning: {warning}", Weight.WARNING)
        case api.BlockPassedOver(number, why, early):
            weight = Weight.DETAIL if early else Weight.NOTE  # half of a pair is early as a rule
            yield Sentence(f"reply block {number} is passed over: {why}", weight)
        case api.BlocksMade(_, address, handles, not_after):
            where = f"; answers come to {address}" if verbose else ""
            until = times.to_text(not_after)
            yield Sentence(
                f"{len(handles)} reply blocks, to be answered until about {until}{where}"
            )
        case api.BlocksUsed(used, left):
            blocks = "1 reply block" if used == 1 else f"{used} reply blocks"
            yield Sentence(f"answers with {blocks}; {left} more could be used now")
        case api.InFragments(packets, needed):
            yield Sentence(f"goes in {packets:,} packets, of which {needed:,} are enough")
        case api.HandedOver(packets, of):
            yield Sentence(f"{packets:,} of {of:,} packets handed over")
        case api.KeptLong(packets, since):
            yield Sentence(
                f"warning: {_packets(packets)} kept since {times.to_text(since)} and not sent:"
                " `mixminion queue flush` sends what is kept, `mixminion queue clean` deletes it",
                Weight.WARNING,
            )
        case api.Deleted(packets, since):
            yield Sentence(
                f"warning: {_packets(packets)} deleted that had been kept since"
                f" {times.to_text(since)}, as delete-after in [Outbox] says; not sent",
                Weight.WARNING,
            )
        case api.Sent():
            to = event.entry if event.packets == 1 else f"{event.entry} and others"
            yield Sentence(
                f"handed to {to}: this computer may be switched off;"
                f" the message arrives in about {span(event.delay)}"
            )


def _packets(n: int) -> str:
    return "1 packet is" if n == 1 else f"{n:,} packets are"


def _encrypted(event: api.Encrypted) -> Iterator[Sentence]:
    whose = event.address or "the key that was given"
    compared = "" if event.verified or event.address is None else ", not verified"
    yield Sentence(f"encrypted to {whose}{compared}: {event.fingerprint}")
    if event.changed:
        yield Sentence(
            f"warning: another key came for {event.address}, which is not trusted; `mixminion key"
            f" show {event.address}` shows both",
            Weight.WARNING,
        )


def _asked(source: str, document: str, error: api.MixminionError | None) -> str:
    if error is None:
        return f"{source} served the {document}"
    sentence = api.render(error)
    return sentence if source in sentence else f"{source}: {sentence}"


def span(seconds: float) -> str:
    """For people: ``16 minutes``."""
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{round(seconds / length)} {unit}s"
    n = max(1, round(seconds))
    return "1 second" if n == 1 else f"{n} seconds"
