"""``mixminion server dump-config``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mixminion.app import configuration
from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.server_check_config import print_errors
from mixminion.config import ConfigErrors, Position, Setting
from mixminion.config.dump import DEFAULT, dump, shown
from mixminion.errors import EX_CONFIG


@click.command()
@server_option
@json_option
def command(path: Path, as_json: bool) -> int:
    """Show every value the server would run with, and where it comes from.

    What is printed is a configuration again.  Of a passphrase it says where it comes from.
    """
    try:
        config = configuration.load(path)
    except ConfigErrors as errors:
        print_errors(path, [str(problem) for problem in errors.problems], as_json=as_json)
        return EX_CONFIG
    values = [_value(setting, config.home) for setting in config.settings()]
    print_result(values, dump(config).splitlines(), as_json=as_json)
    return 0


def _value(setting: Setting, home: Path) -> Mapping[str, Any]:
    return {
        "section": setting.title[1:-1],
        "key": setting.option.key,
        "value": shown(setting, home),
        "source": _source(setting.position),
    }


def _source(position: Position | None) -> Any:
    if position is None:
        return DEFAULT
    return {"file": position.filename, "line": position.line}
