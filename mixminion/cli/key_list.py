"""``mixminion key list``."""

from __future__ import annotations

import click

from mixminion import api
from mixminion.cli.client import config_option, run
from mixminion.cli.keys import data_of, lines_of
from mixminion.cli.output import json_option, print_result


@click.command()
@json_option
@config_option
def command(config: api.Config, as_json: bool) -> None:
    """List the keys of others, by address."""

    async def found(client: api.Client) -> list[api.Key]:
        return await client.keys.all()

    keys = run(config, found)
    lines = [line for key in keys for line in lines_of(key)]
    print_result([data_of(key) for key in keys], lines or ["There is no key."], as_json=as_json)
