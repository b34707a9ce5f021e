"""What the sender's commands share: their configuration, and a client that runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

from mixminion import api
from mixminion.cli import reactor, telling

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def config_file_option(function: F) -> F:
    """``-f FILE``, as the argument ``filename``: the configuration's name, None when not given;
    and what all of these commands have: ``-q``, ``-v`` and ``--status-fd``."""
    return click.option(
        "-f",
        "--config",
        "filename",
        metavar="FILE",
        help="The configuration, when it is neither $MIXMINION_CONFIG nor"
        " ~/.config/mixminion/mixminion.conf.",
    )(telling.telling_options(function))


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``-f FILE``, as the argument ``config``: the configuration that was found, read."""

    @config_file_option
    @functools.wraps(function)
    def wrapped(filename: str | None, **arguments: Any) -> Any:
        return function(config=api.load_config(filename), **arguments)

    return wrapped


def run(config: api.Config, work: Callable[[api.Client], Coroutine[Any, Any, T]]) -> T:
    """The result of *work* with a client, whose links and state are closed afterwards."""

    return reactor.run(lambda reactor: with_client(reactor, config, work))


async def with_client(
    reactor: Any, config: api.Config, work: Callable[[api.Client], Coroutine[Any, Any, T]]
) -> T:
    """The same in a reactor that runs already; and what is kept for long is told of."""
    client = api.Client(reactor, config)
    try:
        await client.tend_outbox(progress=tell)
        return await work(client)
    finally:
        await client.close()


def say(line: str, *, always: bool = False) -> None:
    """A line about what happens, beside the result: on standard error, unless they want quiet and
    it is not for *always*."""
    telling.current().say(line, always=always)


def tell(event: api.Event) -> None:
    """What happens, for people and for ``--status-fd``: the ``progress`` of every command."""
    telling.current().tell(event)
