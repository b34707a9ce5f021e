"""``mixminion update``."""

from __future__ import annotations

from typing import Any

import click

from mixminion import api
from mixminion.cli.client import config_option, run, say, tell
from mixminion.cli.output import json_option, print_result
from mixminion.util import times

FINDINGS = {
    api.Finding.SAME: "has the same directory",
    api.Finding.FORKED: "has another directory for the same time, signed by authorities as well",
    api.Finding.UNSIGNED: "claims another directory for the same time, but has none",
    api.Finding.OTHER_TIMES: "has directories of other times",
    api.Finding.SILENT: "does not say which directory it has",
}


def progress(event: api.Event) -> None:
    """Each step of a fetch, on standard error."""
    match event:
        case api.Asked(source, document, None):
            say(f"{source} served the {document}")
        case api.Asked(source, document, error) if error is not None:
            sentence = api.render(error)
            say(sentence if source in sentence else f"{source}: {sentence}")
        case api.Compared(source, finding):
            say(f"{source} {FINDINGS[finding]}")
        case _:
            tell(event)


@click.command()
@click.option(
    "--if-due",
    is_flag=True,
    help="Fetch only if the time for it has come, which is drawn at random after each fetch: for"
    " cron, as often as you like.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless something is wrong.")
@json_option
@config_option
def command(config: api.Config, if_due: bool, quiet: bool, as_json: bool) -> None:
    """Fetch the newest directory of the network, and compare it with what two others have."""
    said = tell if quiet else progress

    async def update(client: api.Client) -> api.Consensus | None:
        if if_due:
            return await client.update_if_due(progress=said)
        return await client.update(progress=said)

    consensus = run(config, update)
    if consensus is None:
        lines = [] if quiet else ["No fetch is due yet."]
        print_result({"fetched": False}, lines, as_json=as_json)
        return
    data = {"fetched": True, **data_of(consensus)}
    print_result(data, [] if quiet else [summary(consensus)], as_json=as_json)


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
