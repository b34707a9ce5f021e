"""``mixminion authority certify``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from mixminion.app import authority_configuration as configuration
from mixminion.app import authority_keys, process
from mixminion.app.usual import AUTHORITY_SIGNING_DAYS
from mixminion.cli.home import authority_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.passphrase import passphrase_options
from mixminion.config.secret import SecretSource
from mixminion.util.times import to_text


@click.command()
@authority_option
@click.option(
    "--identity",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The identity key, when it is not kept in the home.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 365),
    default=AUTHORITY_SIGNING_DAYS,
    show_default=True,
    help="How long the new key is valid.",
)
@passphrase_options("The passphrase of the identity key")
@json_option
def command(
    path: Path, identity: Path | None, days: int, passphrase: SecretSource | None, as_json: bool
) -> None:
    """Make a new signing key with the identity key.

    A running authority uses it after `mixminion authority reload`.  Nobody else has to be told.
    """
    process.harden()
    config = configuration.load(path)
    ends = to_text(
        authority_keys.certify(
            config.home,
            identity,
            passphrase,
            configuration.passphrase_source(config),
            now=time.time(),
            days=days,
        )
    )
    lines = [
        f"Made a signing key that is valid until {ends}.",
        "A running authority uses it after `mixminion authority reload`.",
    ]
    print_result({"valid-until": ends}, lines, as_json=as_json)
