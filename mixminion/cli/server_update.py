"""``mixminion server update``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mixminion.app import configuration, directories
from mixminion.cli import reactor
from mixminion.cli.client import say
from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result
from mixminion.config import Config
from mixminion.directory.consensus import Consensus
from mixminion.disk.lock import HomeLock
from mixminion.util import times


@click.command()
@server_option
@click.option("--if-missing", is_flag=True, help="Only if there is none in the home yet.")
@click.option(
    "--timeout", type=float, default=0.0, help="Seconds to wait for a first one.  [default: 0]"
)
@json_option
def command(path: Path, if_missing: bool, timeout: float, as_json: bool) -> None:
    """Fetch the network's directory into the home of a server that does not run.

    A server needs it to start; while it runs it keeps its directory current by itself.
    """
    config = configuration.load(path)
    if if_missing and not configuration.lacks_directory(config):
        line = "Nothing is fetched: there is a directory already, or nobody to ask for one."
        print_result({"fetched": False}, [line], as_json=as_json)
        return
    consensus = fetch(config, timeout)
    data = {
        "fetched": True,
        "valid-after": times.to_text(consensus.valid_after),
        "valid-until": times.to_text(consensus.valid_until),
        "servers": len(consensus.servers),
    }
    line = f"The directory of {data['valid-after']} lists {len(consensus.servers)} servers"
    print_result(data, [f"{line}; it is valid until {data['valid-until']}."], as_json=as_json)


def fetch(config: Config, seconds: float) -> Consensus:
    """Fetch a directory into a home that nobody uses, trying for so many seconds."""

    async def work(running: Any) -> Consensus:
        return await directories.first(running, config, seconds=seconds, tell=say)

    held = HomeLock(config.home)
    held.acquire()
    try:
        return reactor.run(work)
    finally:
        held.release()
