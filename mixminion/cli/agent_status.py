"""``mixminion agent status``."""

from __future__ import annotations

import click

from mixminion import api
from mixminion.cli import owner
from mixminion.cli.client import config_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.sheets import lines


@click.command()
@json_option
@config_option
def command(config: api.Config, as_json: bool) -> None:
    """Show what the agent does.

    The first line is OK, or the one thing to do.
    """
    status = owner.ask_agent(config, "status")
    print_result(status, lines(status), as_json=as_json)
