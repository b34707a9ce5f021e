"""``mixminion key fingerprint``."""

from __future__ import annotations

import click

from mixminion import api
from mixminion.cli.client import config_option, run
from mixminion.cli.output import json_option, print_result
from mixminion.client import keys


@click.command()
@click.argument("address", required=False)
@click.option("--identity", metavar="NAME", help="Of this identity of yours.  [default: default]")
@json_option
@config_option
def command(config: api.Config, address: str | None, identity: str | None, as_json: bool) -> None:
    """Show the fingerprint of the key of ADDRESS, or of your own without one.

    Read it to each other over the telephone, or compare it on paper: all of it, and not by the way
    the key came.
    """
    if address is not None and identity is not None:
        raise click.UsageError("Give an address or --identity, not both.")

    async def found(client: api.Client) -> str:
        if address is not None:
            return (await client.keys.get(address)).fingerprint
        return keys.fingerprint((await client.identities.get(identity)).public)

    shown = run(config, found)
    print_result({"fingerprint": shown}, [shown], as_json=as_json)
