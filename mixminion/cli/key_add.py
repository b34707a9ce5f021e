"""``mixminion key add``."""

from __future__ import annotations

import click

from mixminion import api
from mixminion.cli.client import config_option
from mixminion.cli.keys import change, read_key_file
from mixminion.cli.output import json_option


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--address", metavar="ADDRESS", help="Whose key it is.  [default: as it says itself]")
@json_option
@config_option
def command(config: api.Config, file: str, address: str | None, as_json: bool) -> None:
    """Take the key in FILE (- for standard input) for its owner's address.

    The first key for an address is trusted from then on.  Another one is not taken; `mixminion
    key trust` does that.  FILE may be a mail or any text with the key in it.
    """
    octets = read_key_file(file)
    name = "standard input" if file == "-" else file
    change(
        config,
        lambda client: client.keys.add(octets, address, name),
        as_json=as_json,
    )
