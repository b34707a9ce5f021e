"""``mixminion authority reload``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.cli.home import authority_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.running import ask_authority


@click.command()
@authority_option
@json_option
def command(path: Path, as_json: bool) -> None:
    """Have the running authority read configuration, signing key and figures again.

    When something is wrong with any of them nothing changes.
    """
    answer = ask_authority(path, "reload")
    lines = ["The authority goes by its new configuration."]
    if answer["restart"]:
        lines.append(f"After a restart only: {', '.join(answer['restart'])}.")
    print_result(answer, lines, as_json=as_json)
