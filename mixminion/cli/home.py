"""Which server, or which authority, an operator's command is about."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mixminion.app.usual import AUTHORITY_FILE, FILE

DEFAULT = "~/.mixminiond"


def home_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--home`` alone, as the argument ``home``: an absolute path."""
    return click.option(
        "--home",
        metavar="FOLDER",
        envvar="MIXMINIOND_HOME",
        default=DEFAULT,
        show_default=True,
        callback=lambda context, option, value: Path(value).expanduser().absolute(),
        help="The server's home; the environment variable MIXMINIOND_HOME sets it, too.",
    )(function)


def server_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--home`` or ``--config``, as the argument ``path``: the absolute path of the server's
    configuration."""

    @home_option
    @click.option(
        "--config",
        "config",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help=f"The configuration, when it is not {FILE} in the home.",
    )
    @functools.wraps(function)
    def wrapped(home: Path, config: Path | None, **arguments: Any) -> Any:
        path = home / FILE if config is None else config.absolute()
        return function(path=path, **arguments)

    return wrapped


AUTHORITY_DEFAULT = "~/.mixminion-authority"


def authority_home_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--home`` of an authority, as the argument ``home``: an absolute path."""
    return click.option(
        "--home",
        metavar="FOLDER",
        envvar="MIXMINION_AUTHORITY_HOME",
        default=AUTHORITY_DEFAULT,
        show_default=True,
        callback=lambda context, option, value: Path(value).expanduser().absolute(),
        help="The authority's home; the environment variable MIXMINION_AUTHORITY_HOME sets it too.",
    )(function)


def authority_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--home`` or ``--config``, as the argument ``path``: the absolute path of the authority's
    configuration."""

    @authority_home_option
    @click.option(
        "--config",
        "config",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help=f"The configuration, when it is not {AUTHORITY_FILE} in the home.",
    )
    @functools.wraps(function)
    def wrapped(home: Path, config: Path | None, **arguments: Any) -> Any:
        path = home / AUTHORITY_FILE if config is None else config.absolute()
        return function(path=path, **arguments)

    return wrapped
