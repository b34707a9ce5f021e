"""``mixminion key file-name``."""

from __future__ import annotations

import click

from mixminion.cli.keys import address_argument
from mixminion.cli.output import json_option, print_result
from mixminion.client import key_sources


@click.command("file-name")
@address_argument
@json_option
def command(address: str, as_json: bool) -> None:
    """Print the name under which folders and servers keep the key of ADDRESS.

    It is a digest of the address.  Put what `mixminion key export` prints into a file of that name.
    """
    name = key_sources.name_of(key_sources.canonical(address)) + key_sources.SUFFIX
    print_result({"name": name}, [name], as_json=as_json)
