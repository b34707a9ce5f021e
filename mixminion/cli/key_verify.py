"""``mixminion key verify``."""

from __future__ import annotations

import click

from mixminion import api
from mixminion.cli.client import config_option
from mixminion.cli.keys import address_argument, change
from mixminion.cli.output import json_option


@click.command()
@address_argument
@click.argument("fingerprint", nargs=-1, required=True)
@json_option
@config_option
def command(config: api.Config, address: str, fingerprint: tuple[str, ...], as_json: bool) -> None:
    """Compare: the key of ADDRESS has to have that FINGERPRINT, which its owner told you.

    From then on no other key takes its place without a fingerprint of its own.
    """
    change(
        config,
        lambda client: client.keys.verify(address, " ".join(fingerprint)),
        as_json=as_json,
    )
