"""``mixminion join``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mixminion import api
from mixminion.cli import reactor
from mixminion.cli.client import config_file_option, say, with_client
from mixminion.cli.documents import read_file
from mixminion.cli.output import json_option, print_result, table
from mixminion.cli.update import data_of, progress, summary
from mixminion.client import configuration, joining
from mixminion.client.errors import NotJoined
from mixminion.directory.bootstrap import LIMIT, Bootstrap


@click.command()
@click.argument("source", metavar="FILE|URL")
@click.option("-y", "--yes", is_flag=True, help="Believe the authorities without asking.")
@click.option(
    "--replace",
    is_flag=True,
    help="Put the authorities into a configuration that is there already; everything else in it"
    " stays, and the former one is kept beside it.",
)
@json_option
@config_file_option
def command(filename: str | None, source: str, yes: bool, replace: bool, as_json: bool) -> None:
    """Join the network that a bootstrap file describes: show its authorities' fingerprints, ask,
    write the configuration, and fetch the first directory.

    FILE is - for standard input.  The fingerprints are whom you will believe about the network:
    compare them with those you got from somebody you trust.
    """
    path = configuration.place(filename, os.environ, Path.home())
    given = None if _is_url(source) else _read(source)

    async def join(running: Any) -> api.Consensus:
        bootstrap = given or await joining.fetch(source, running, os.environ)
        text = joining.prepare(path, bootstrap, source, replace=replace)
        for line in _shown(bootstrap):
            say(line, always=not yes)
        if not yes and not reactor.confirm("Are these the fingerprints that you were told?"):
            raise NotJoined
        joined.told(bootstrap, joining.write(path, text))
        return await with_client(running, api.load_config(str(path)), _update)

    joined = _Joined(path)
    try:
        consensus = reactor.run(join)
    except api.MixminionError:
        if joined.data:
            said = (
                "the network is joined, but there is no directory: `mixminion update` tries again"
            )
            say(said, always=True)
            print_result(joined.data, (), as_json=as_json)
        raise
    print_result(
        joined.data | {"directory": data_of(consensus)},
        [f"Joined the network {joined.data['network']}.", summary(consensus)],
        as_json=as_json,
        confirms=True,
    )


async def _update(client: api.Client) -> api.Consensus:
    return await client.update(progress=progress)


class _Joined:
    """What has become of the configuration, once it is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.data: dict[str, Any] = {}

    def told(self, bootstrap: Bootstrap, aside: Path | None) -> None:
        """It is written; the former one is now *aside*."""
        former = f", the former one {aside}" if aside else ""
        say(f"the configuration is {self._path}{former}")
        self.data = {
            "network": bootstrap.name,
            "config": str(self._path),
            "former": None if aside is None else str(aside),
            "authorities": [
                {"nickname": each.nickname, "identity": each.identity.hex()}
                for each in bootstrap.authorities
            ],
            "directory": None,
        }


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _read(source: str) -> Bootstrap:
    if source == "-":
        return Bootstrap.read(sys.stdin.buffer.read(LIMIT + 1), "standard input")
    return Bootstrap.read(read_file(Path(source)), source)


def _shown(bootstrap: Bootstrap) -> Iterator[str]:
    count = len(bootstrap.authorities)
    whose = "one authority" if count == 1 else f"{count} authorities"
    yield f"The network {bootstrap.name} has {whose}:"
    yield from table(
        [(f"  {each.nickname}", each.fingerprint, each.url) for each in bootstrap.authorities]
    )
    yield (
        f"A directory with the signatures of {bootstrap.needed} of them will be believed, whatever"
        " it says."
    )
