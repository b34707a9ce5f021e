"""What ``mixminion agent status`` tells: whether anything is to be done, and how packets leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mixminion import api
from mixminion.client.running import warnings
from mixminion.client.sections import OutboxSection, ScheduleSection
from mixminion.config import Config
from mixminion.errors import MixminionError, render
from mixminion.util.times import to_text


async def status(client: api.Client, config: Config) -> Mapping[str, Any]:
    """JSON values."""
    kept, unbuilt = await client.waiting(), await client.unbuilt()
    pace = client.pace
    told: list[api.Event] = []
    await client.tend_outbox(progress=told.append)
    problem, directory = None, {}
    try:
        report = await client.directory()
        consensus = report.held[0].consensus if report.held else None
        if consensus is not None:
            directory = {
                "valid-after": to_text(consensus.valid_after),
                "valid-until": to_text(consensus.valid_until),
            }
        notes = [str(each) for each in report.warnings]
    except MixminionError as error:
        problem, notes = render(error), []
    return {
        "attention": [*_attention(told, problem, notes, config)],
        "ready": True,
        "kept": {
            "packets": len(kept),
            "parts-of-large-messages": sum(each.blocks for each in unbuilt),
        },
        "schedule": {
            "points": pace.points,
            "seconds-between-points": round(pace.gap, 1),
            "links": pace.links,
        },
        "directory": directory,
    }


def _attention(
    told: Sequence[api.Event], problem: str | None, notes: Sequence[str], config: Config
) -> Iterator[str]:
    """What there is to do, the most urgent first, a sentence each."""
    if problem is not None:
        yield problem
    yield from notes
    for event in told:
        if isinstance(event, api.KeptLong):
            limit = round(config[OutboxSection].warn_after / 3600)
            yield (
                f"{event.packets} packets are kept for more than {limit} hours; `mixminion queue"
                " list` shows them."
            )
    for warning in warnings(config[ScheduleSection]):
        yield str(warning)
