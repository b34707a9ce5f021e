"""``mixminion update``."""

from __future__ import annotations

from typing import Any

import click

from mixminion import api
from mixminion.cli import telling
from mixminion.cli.client import config_option, run
from mixminion.cli.output import json_option, print_result
from mixminion.util import times


def progress(event: api.Event) -> None:
    """Each step of a fetch, also without --verbose."""
    telling.current().tell(event, details=True)


@click.command()
@click.option(
    "--if-due",
    is_flag=True,
    help="Fetch only if the time for it has come, which is drawn at random after each fetch: for"
    " cron, as often as you like.",
)
@json_option
@config_option
def command(config: api.Config, if_due: bool, as_json: bool) -> None:
    """Fetch the newest directory of the network, and compare it with what two others have."""

    async def update(client: api.Client) -> api.Consensus | None:
        if if_due:
            return await client.update_if_due(progress=progress)
        return await client.update(progress=progress)

    consensus = run(config, update)
    if consensus is None:
        lines = ["No fetch is due yet."]
        print_result({"fetched": False}, lines, as_json=as_json, confirms=True)
        return
    data = {"fetched": True, **data_of(consensus)}
    print_result(data, [summary(consensus)], as_json=as_json, confirms=True)


def data_of(consensus: api.Consensus) -> dict[str, Any]:
    """What was fetched, for programs."""
    return {
        "valid-after": times.to_text(consensus.valid_after),
        "valid-until": times.to_text(consensus.valid_until),
        "servers": len(consensus.servers),
    }


def summary(consensus: api.Consensus) -> str:
    """What was fetched, in one sentence."""
    return (
        f"The directory of {times.to_text(consensus.valid_after)} lists"
        f" {len(consensus.servers)} servers; it is valid until"
        f" {times.to_text(consensus.valid_until)}."
    )
