"""``mixminion key find``."""

from __future__ import annotations

import click

from mixminion import api
from mixminion.cli.client import config_option, tell
from mixminion.cli.keys import address_argument, change
from mixminion.cli.output import json_option


@click.command()
@address_argument
@click.option("--source", metavar="NAME", help="Ask this source alone.")
@json_option
@config_option
def command(config: api.Config, address: str, source: str | None, as_json: bool) -> None:
    """Ask the sources that the configuration names for the key of ADDRESS.

    Whoever runs a source learns that the key was asked for, and when: do it long before you write,
    or get a file.  `mixminion send --encrypt` asks nobody.
    """
    change(
        config,
        lambda client: client.keys.find(address, source, progress=tell),
        as_json=as_json,
    )
