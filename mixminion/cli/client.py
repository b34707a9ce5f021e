"""What the sender's commands share: their configuration, and a client that runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

from mixminion import api
from mixminion.cli import reactor
from mixminion.util import times

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def config_file_option(function: F) -> F:
    """``-f FILE``, as the argument ``filename``: the configuration's name, None when not given."""
    return click.option(
        "-f",
        "--config",
        "filename",
        metavar="FILE",
        help="The configuration, when it is neither $MIXMINION_CONFIG nor"
        " ~/.config/mixminion/mixminion.conf.",
    )(function)


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
        await client.tend_outbox(progress=kept_long)
        return await work(client)
    finally:
        await client.close()


def say(line: str) -> None:
    """A line about what happens, beside the result: on standard error."""
    click.echo(line, err=True)


def kept_long(event: api.Event) -> None:
    """What is kept for long, and what was deleted after that."""
    match event:
        case api.KeptLong(packets, since):
            say(
                f"warning: {_packets(packets)} kept since {times.to_text(since)} and not sent:"
                " `mixminion queue flush` sends what is kept, `mixminion queue clean` deletes it"
            )
        case api.Deleted(packets, since):
            say(
                f"warning: {_packets(packets)} deleted that had been kept since"
                f" {times.to_text(since)}, as delete-after in [Outbox] says; not sent"
            )


def _packets(n: int) -> str:
    return "1 packet is" if n == 1 else f"{n:,} packets are"


def tell(event: api.Event) -> None:
    """What happens with the directory: that it is fetched, and what is not as usual."""
    match event:
        case api.Fetching():
            say("fetching the directory")
        case api.Warned(warning):
            say(f"warning: {warning}")
