"""The agent that runs from a client's home, if one does."""

from __future__ import annotations

from typing import Any

from mixminion import api
from mixminion.app import configuration as daemons
from mixminion.cli.errors import AgentEnded, NoServer
from mixminion.client import configuration, sections
from mixminion.control.client import ask
from mixminion.control.errors import NoAnswer, NotRunning, RemoteError

PATIENCE = 7 * 86_400.0
"""Seconds that a command waits for packets to leave at their points."""


def places(config: api.Config) -> daemons.Places:
    """Where the agent of *config* is found while it runs."""
    home = config[configuration.ClientSection].home
    return daemons.Places(home, home / "control", config[sections.LogSection].file)


def runs(config: api.Config) -> bool:
    """Whether somebody holds the home."""
    try:
        from mixminion.disk import lock
    except ImportError:  # a system without such locks has no agents
        return False
    return lock.holder(config[configuration.ClientSection].home) is not None


def ask_agent(config: api.Config, command: str, **arguments: Any) -> dict[str, Any]:
    """What the agent answers.

    :raises NoServer: none runs.
    """
    found = places(config)
    try:
        return ask(found.control, command, **arguments)
    except NotRunning as error:
        raise NoServer(daemon="agent", home=found.home) from error


def follow(config: api.Config, numbers: list[int]) -> tuple[list[int], dict[int, dict[str, str]]]:
    """Wait until what is kept, or of that only *numbers*, has left by the agent: what was handed
    over, and of the rest ``code`` and ``sentence``, which stays kept.

    :raises AgentEnded: it ended meanwhile.
    """
    try:
        answer = ask(places(config).control, "follow", numbers=numbers, timeout=PATIENCE)
    except (NotRunning, NoAnswer, RemoteError) as error:
        raise AgentEnded from error
    return answer["handed"], {int(id): why for id, why in answer["kept"].items()}
