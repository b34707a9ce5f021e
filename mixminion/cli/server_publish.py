"""``mixminion server publish``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.app import configuration
from mixminion.cli.errors import NoServer
from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.published import sayings
from mixminion.control.client import ask
from mixminion.control.errors import NotRunning
from mixminion.errors import EX_UNAVAILABLE


@click.command()
@server_option
@click.option(
    "--timeout", type=float, default=180.0, show_default=True, help="Seconds to wait for answers."
)
@json_option
def command(path: Path, timeout: float, as_json: bool) -> int:
    """Publish the running server at every authority now, and show what each says.

    It does that by itself, whenever something has changed and some times a day.
    """
    places = configuration.places_of_running(path)
    try:
        answer = ask(places.control, "publish", timeout=timeout)
    except NotRunning as error:
        raise NoServer(daemon="server", home=places.home) from error
    attention, authorities = answer["attention"], answer["authorities"]
    said = (f"{name}: {text}" for name, text in sayings(authorities).items())
    lines = [*(attention or ["OK"]), "", *said]
    print_result(answer, lines, as_json=as_json)
    return EX_UNAVAILABLE if all(each["error"] for each in authorities) else 0
