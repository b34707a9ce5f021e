"""``mixminion server delete-keys``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.app import configuration, replacing
from mixminion.cli import reactor
from mixminion.cli.errors import NotErased
from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result

QUESTION = (
    "Packets on their way to this server are lost, and it gets no others until the directory lists "
    "its new keys.  Erase its packet keys?"
)


@click.command()
@server_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def command(path: Path, yes: bool, as_json: bool) -> None:
    """Erase the packet keys of a server that does not run.

    What others recorded on its way to this server can be opened by nobody any more.  The next
    start makes new keys and publishes them.
    """
    config = configuration.load(path)
    if not yes and not reactor.confirm(QUESTION):
        raise NotErased
    count = replacing.delete(config)
    lines = [
        f"Erased the packet keys of {count} key periods.",
        "The next start makes new ones; what the server has opened already goes on its way then.",
    ]
    print_result({"erased": count}, lines, as_json=as_json)
