"""``mixminion server status``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.app import configuration
from mixminion.cli.errors import NoServer
from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.published import sayings
from mixminion.cli.sheets import lines
from mixminion.control.client import ask
from mixminion.control.errors import NotRunning


@click.command()
@server_option
@json_option
def command(path: Path, as_json: bool) -> None:
    """Show what the server does.

    The first line is OK, or the one thing to do.
    """
    places = configuration.places_of_running(path)
    try:
        status = ask(places.control, "status")
    except NotRunning as error:
        raise NoServer(daemon="server", home=places.home) from error
    shown = {**status, "authorities": sayings(status.get("authorities", []))}
    print_result(status, lines(shown), as_json=as_json)
