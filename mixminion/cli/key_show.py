"""``mixminion key show``."""

from __future__ import annotations

import click

from mixminion import api
from mixminion.cli.client import config_option, run
from mixminion.cli.keys import address_argument, data_of, lines_of
from mixminion.cli.output import json_option, print_result


@click.command()
@address_argument
@json_option
@config_option
def command(config: api.Config, address: str, as_json: bool) -> None:
    """Show the key of ADDRESS, and any other that came for it."""

    async def found(client: api.Client) -> api.Key:
        return await client.keys.get(address)

    key = run(config, found)
    data = {**data_of(key), "key": key.text}
    print_result(data, [*lines_of(key), "", key.text.rstrip()], as_json=as_json)
