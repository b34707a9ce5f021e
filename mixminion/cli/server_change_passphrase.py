"""``mixminion server change-passphrase``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mixminion.app import certify, configuration, process
from mixminion.app.usual import Which
from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.passphrase import passphrase_options


@click.command()
@server_option
@click.option(
    "--keys",
    "which",
    type=click.Choice([str(each) for each in Which]),
    default="all",
    show_default=True,
    help="The keys to protect.",
)
@click.option(
    "--identity",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The identity key, when it is not kept in the home.",
)
@passphrase_options("The passphrase so far, when it is not the one of the configuration")
@passphrase_options("The new passphrase", prefix="new-")
@click.option("--no-passphrase", is_flag=True, help="Protect them no longer.")
@json_option
def command(
    path: Path,
    which: str,
    identity: Path | None,
    no_passphrase: bool,
    as_json: bool,
    **sources: Any,
) -> None:
    """Protect the identity key and the packet keys by another passphrase, or by none.

    The server must not run.  After an interruption the same command goes on.
    """
    new_source = sources["new_passphrase"]
    if no_passphrase == (new_source is not None):
        raise click.UsageError("say one of --new-passphrase-... and --no-passphrase")
    process.harden()
    config = configuration.load(path)
    certify.change_passphrase(config, Which(which), identity, sources["passphrase"], new_source)
    lines = ["Done: the keys have no passphrase." if no_passphrase else "Done."]
    if which != Which.IDENTITY and str(new_source) != str(configuration.passphrase_source(config)):
        value = f"passphrase = {new_source}" if new_source else "no passphrase"
        lines.append(f"Now have {value} in [Server] of {path}.")
    print_result({"keys": which, "protected": not no_passphrase}, lines, as_json=as_json)
