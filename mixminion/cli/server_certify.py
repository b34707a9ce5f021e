"""``mixminion server certify``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from mixminion.app import certify, configuration, init, process
from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.passphrase import passphrase_options
from mixminion.config.secret import SecretSource
from mixminion.util.times import to_text


@click.command()
@server_option
@click.option(
    "--identity",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The identity key, when it is not kept in the home.",
)
@passphrase_options("The passphrase of the identity key")
@json_option
def command(
    path: Path, identity: Path | None, passphrase: SecretSource | None, as_json: bool
) -> None:
    """Make a new signing key and its certificates with the identity key.

    The server uses them when it is started again.
    """
    process.harden()
    config = configuration.load(path)
    ends = to_text(certify.certify(config, identity, passphrase, now=time.time()))
    descriptor = init.ServerKeys(config.home).descriptor
    lines = [
        f"Made a signing key that is valid until {ends}.",
        "A server that runs uses it when it is started again.",
        f"Send {descriptor} to the network's authorities.",
    ]
    result = {"valid-until": ends, "descriptor": str(descriptor)}
    print_result(result, lines, as_json=as_json)
