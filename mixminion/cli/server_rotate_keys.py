"""``mixminion server rotate-keys``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.app import configuration, replacing
from mixminion.cli import reactor
from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result
from mixminion.util.times import to_text


@click.command()
@server_option
@json_option
def command(path: Path, as_json: bool) -> None:
    """Replace packet keys that are published and not used yet, of a server that does not run.

    Keys change only where key periods do, so those in use stay, and nothing is lost.  The next
    start makes the new ones and publishes them.  `mixminion server delete-keys` erases all.
    """
    replaced = replacing.rotate(configuration.load(path), reactor.now())
    begins, deadline = to_text(replaced.begins), to_text(replaced.deadline)
    data = {"erased": replaced.count, "from": begins, "start-before": deadline}
    if replaced.count:
        lines = [
            f"Erased the packet keys of {replaced.count} key periods, the first of which begins "
            f"at {begins}.",
            f"Start the server before {deadline}, so that everybody has its new ones in time.",
        ]
    else:
        lines = [f"There are no keys yet of the period that begins at {begins}, or of later ones."]
    print_result(data, lines, as_json=as_json)
