"""``mixminion directory verify``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion import api
from mixminion.cli import reactor, standings
from mixminion.cli.client import config_file_option
from mixminion.cli.documents import open_consensus, read_file, refused
from mixminion.cli.output import json_option, print_result
from mixminion.client import configuration
from mixminion.directory import checks
from mixminion.directory.bootstrap import Authority, Bootstrap
from mixminion.directory.standings import standings as count
from mixminion.errors import PeerError
from mixminion.util import times


def _moment(context: click.Context, option: click.Parameter, text: str | None) -> int | None:
    try:
        return None if text is None else times.from_text(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--network",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A bootstrap file with the authorities to believe, instead of the configuration's.",
)
@click.option(
    "--at",
    metavar="TIME",
    callback=_moment,
    help="Judge the dates as at that time, such as 2026-11-23T08:00:00Z, instead of now.",
)
@json_option
@config_file_option
def command(
    filename: str | None, file: Path, network: Path | None, at: int | None, as_json: bool
) -> None:
    """Say whether the directory in FILE can be believed: whether enough of the authorities signed
    it, and whether it is valid now.

    Nothing is fetched or kept.  Exit code 0 means yes, 65 no.
    """
    authorities = _authorities(filename, network)
    now = reactor.now() if at is None else at
    consensus, envelope = open_consensus(read_file(file))
    found = count(envelope, authorities, now)
    problem: api.MixminionError | None = None
    try:
        checks.check_signatures(envelope, [each.identity for each in authorities], now)
        checks.check_dates(consensus, now)
    except PeerError as error:
        problem = refused(error)
    data = {
        "believed": problem is None,
        "error": None if problem is None else problem.code,
        "valid-after": times.to_text(consensus.valid_after),
        "valid-until": times.to_text(consensus.valid_until),
        "digest": envelope.digest.hex(),
        "signatures": standings.data(found),
    }
    lines = [
        f"Directory of {data['valid-after']}, valid until {data['valid-until']}",
        f"  digest      {data['digest']}",
        f"  signatures  {standings.summary(found)}",
        *(f"    {row}" for row in standings.rows(found)),
    ]
    print_result(data, lines, as_json=as_json)
    if problem is not None:
        raise problem


def _authorities(filename: str | None, network: Path | None) -> tuple[Authority, ...]:
    if network is not None:
        return Bootstrap.read(read_file(network), str(network)).authorities
    return api.load_config(filename)[configuration.DirectorySection].authorities
