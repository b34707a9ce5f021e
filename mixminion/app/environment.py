"""What a server's exits get from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mixminion import __version__
from mixminion.config import Config
from mixminion.exits import registry
from mixminion.interfaces import IExit, Random
from mixminion.mix.config import IncomingSection

SOFTWARE = f"Mixminion {__version__}"


@dataclass(slots=True)
class Environment:
    """What exits get (:class:`mixminion.interfaces.ExitEnvironment`)."""

    reactor: Any
    random: Random
    host_name: str
    software: str = SOFTWARE


def exits(
    config: Config,
    reactor: Any,
    random: Random,
    guard: Callable[[IExit], IExit] = lambda exit: exit,
) -> dict[str, IExit]:
    """The configured exits, not started; each as *guard* gives it."""
    environment = Environment(reactor, random, host_name(config))
    return registry.load(config, environment, registry.discover(), guard)


def host_name(config: Config) -> str:
    """The server's name in mail: its first published address, an IP address in brackets."""
    address = config[IncomingSection].addresses[0]
    if address.address is None:
        return address.host
    prefix = "IPv6:" if address.address.version == 6 else ""
    return f"[{prefix}{address.host}]"
