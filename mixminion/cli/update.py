"""``mixminion update``."""

from __future__ import annotations

import click

from mixminion import api
from mixminion.cli.client import config_option, run
from mixminion.cli.output import json_option, print_result
from mixminion.util import times


@click.command()
@json_option
@config_option
def command(config: api.Config, as_json: bool) -> None:
    """Fetch the newest directory of the network."""

    async def update(client: api.Client) -> api.Consensus:
        return await client.update()

    consensus = run(config, update)
    data = {
        "valid-after": times.to_text(consensus.valid_after),
        "valid-until": times.to_text(consensus.valid_until),
        "servers": len(consensus.servers),
    }
    line = f"The directory of {data['valid-after']} lists {len(consensus.servers)} servers"
    print_result(data, [f"{line}; it is valid until {data['valid-until']}."], as_json=as_json)
