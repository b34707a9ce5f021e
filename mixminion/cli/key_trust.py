"""``mixminion key trust``."""

from __future__ import annotations

import click

from mixminion import api
from mixminion.cli.client import config_option
from mixminion.cli.keys import address_argument, change
from mixminion.cli.output import json_option


@click.command()
@address_argument
@click.argument("fingerprint", nargs=-1)
@json_option
@config_option
def command(config: api.Config, address: str, fingerprint: tuple[str, ...], as_json: bool) -> None:
    """Trust the other key that came for ADDRESS, instead of the one before.

    With its FINGERPRINT the new key is verified, too.  When the old one was, there has to be one.
    Both are shown by `mixminion key show`.
    """
    change(
        config,
        lambda client: client.keys.trust(address, " ".join(fingerprint) or None),
        as_json=as_json,
    )
