"""``mixminion server check-config``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from mixminion.app import checks, configuration
from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result
from mixminion.config import ConfigErrors
from mixminion.errors import EX_CONFIG, render


@click.command()
@server_option
@json_option
def command(path: Path, as_json: bool) -> int:
    """Check configuration, files and keys, and tell everything that is wrong."""
    try:
        config = configuration.load(path)
    except ConfigErrors as errors:
        wrong = [str(problem) for problem in errors.problems]
    else:
        wrong = [str(problem) for problem in sorted(checks.settings(config))]
        wrong += [render(error) for error in checks.files(config)]
    print_errors(path, wrong, as_json=as_json)
    return EX_CONFIG if wrong else 0


def print_errors(path: Path, wrong: Sequence[str], *, as_json: bool) -> None:
    """Print what is *wrong* with the configuration at *path*, or that nothing is."""
    count = f"{len(wrong)} error{'s' if len(wrong) > 1 else ''}"
    lines = [f"{count}:", *(f"  {line}" for line in wrong)] if wrong else [f"OK: {path}"]
    print_result({"config": str(path), "errors": list(wrong)}, lines, as_json=as_json)
