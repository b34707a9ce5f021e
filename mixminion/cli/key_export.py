"""``mixminion key export``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion import api
from mixminion.cli.client import config_option, run, say
from mixminion.cli.output import json_option, print_result
from mixminion.client import keys
from mixminion.disk import private


@click.command()
@click.option("--identity", metavar="NAME", help="The key of this identity.  [default: default]")
@click.option("--name", metavar="TEXT", help="A name that stands above it, for people.")
@click.option(
    "--address",
    metavar="ADDRESS",
    help="The address that stands above it.  [default: the identity's]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write it there.  [default: standard output]",
)
@json_option
@config_option
def command(
    config: api.Config,
    identity: str | None,
    name: str | None,
    address: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Print a key of your own, for others to encrypt to.

    Whoever gets the key of one identity from two places knows that they belong together: give each
    its own.
    """

    async def found(client: api.Client) -> api.Identity:
        return await client.identities.get(identity)

    own = run(config, found)
    text = keys.text_of(own.public, name, address or own.address)
    data = {"identity": own.name, "fingerprint": keys.fingerprint(own.public)}
    if output is not None:
        private.write(output.absolute(), text.encode())
        print_result({**data, "file": str(output)}, (), as_json=as_json)
    else:
        print_result({**data, "key": text}, [text.rstrip()], as_json=as_json)
    if not as_json:
        say(f"fingerprint: {data['fingerprint']}")
