"""``mixminion agent reload``."""

from __future__ import annotations

import click

from mixminion import api
from mixminion.cli import owner
from mixminion.cli.client import config_option
from mixminion.cli.output import json_option, print_result


@click.command()
@json_option
@config_option
def command(config: api.Config, as_json: bool) -> None:
    """Have the agent read its configuration again.

    When something is wrong in it, nothing changes.
    """
    answer = owner.ask_agent(config, "reload")
    later = ", ".join(answer["restart"])
    line = f"Read again; after a restart only: {later}" if later else "Read again."
    print_result(answer, [line], as_json=as_json)
