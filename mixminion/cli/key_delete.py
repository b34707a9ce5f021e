"""``mixminion key delete``."""

from __future__ import annotations

import click

from mixminion import api
from mixminion.cli.client import config_option, run
from mixminion.cli.keys import address_argument
from mixminion.cli.output import json_option, print_result


@click.command()
@address_argument
@json_option
@config_option
def command(config: api.Config, address: str, as_json: bool) -> None:
    """Forget the key of ADDRESS, verified or not.

    The next one that comes for it is trusted as the first was.
    """

    async def forget(client: api.Client) -> None:
        await client.keys.delete(address)

    run(config, forget)
    print_result({"deleted": True}, ["The key is forgotten."], as_json=as_json)
