"""``mixminion authority check-config``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.app import authority_configuration as configuration
from mixminion.cli.home import authority_option
from mixminion.cli.output import json_option, print_result
from mixminion.config import ConfigErrors
from mixminion.errors import EX_CONFIG, render


@click.command()
@authority_option
@json_option
def command(path: Path, as_json: bool) -> int:
    """Check configuration, files and keys, and tell everything that is wrong."""
    try:
        config = configuration.load(path)
    except ConfigErrors as errors:
        wrong = [str(problem) for problem in errors.problems]
    else:
        wrong = [str(problem) for problem in sorted(configuration.settings(config))]
        wrong += [render(error) for error in configuration.files(config)]
        wrong += [render(error) for error in configuration.figures(config)]
    count = f"{len(wrong)} error{'s' if len(wrong) > 1 else ''}"
    lines = [f"{count}:", *(f"  {line}" for line in wrong)] if wrong else [f"OK: {path}"]
    print_result({"config": str(path), "errors": wrong}, lines, as_json=as_json)
    return EX_CONFIG if wrong else 0
