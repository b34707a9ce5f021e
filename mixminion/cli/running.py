"""Asking the running authority or server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mixminion.app import authority_configuration as configuration
from mixminion.app import configuration as server_configuration
from mixminion.cli.errors import NoServer
from mixminion.control.client import ask
from mixminion.control.errors import NotRunning


def ask_authority(path: Path, command: str, **arguments: Any) -> dict[str, Any]:
    """What the authority with the configuration *path* answers.

    :raises NoServer: none runs.
    """
    places = configuration.places_of_running(path)
    try:
        return ask(places.control, command, **arguments)
    except NotRunning as error:
        raise NoServer(daemon="authority", home=places.home) from error


def ask_server(path: Path, command: str, **arguments: Any) -> dict[str, Any]:
    """What the server with the configuration *path* answers.

    :raises NoServer: none runs.
    """
    places = server_configuration.places_of_running(path)
    try:
        return ask(places.control, command, **arguments)
    except NotRunning as error:
        raise NoServer(daemon="server", home=places.home) from error
