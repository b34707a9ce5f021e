"""The options that say where a passphrase comes from."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mixminion.config.secret import Kind, SecretSource


def passphrase_options(what: str, prefix: str = "") -> Callable[[Callable[..., Any]], Any]:
    """``--passphrase-file``, ``-fd`` and ``-prompt``, of which one may be given, as the
    argument ``passphrase``; *prefix* goes before all these names."""
    option, argument = f"--{prefix}passphrase", f"{prefix}passphrase".replace("-", "_")
    file, number, prompt = (f"{argument}_{word}" for word in ("file", "fd", "prompt"))

    def decorate(function: Callable[..., Any]) -> Any:
        @click.option(
            f"{option}-file",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help=f"{what}: the first line of this private file.",
        )
        @click.option(
            f"{option}-fd", metavar="NUMBER", type=int, help="The same, from an open descriptor."
        )
        @click.option(f"{option}-prompt", is_flag=True, help="The same, asked for.")
        @functools.wraps(function)
        def wrapped(**given: Any) -> Any:
            sources = []
            if (path := given.pop(file)) is not None:
                sources.append(SecretSource(Kind.FILE, path=path.absolute()))
            if (descriptor := given.pop(number)) is not None:
                sources.append(SecretSource(Kind.DESCRIPTOR, number=descriptor))
            if given.pop(prompt):
                sources.append(SecretSource(Kind.PROMPT))
            if len(sources) > 1:
                raise click.UsageError(f"one of {option}-file, -fd and -prompt is enough")
            return function(**given, **{argument: sources[0] if sources else None})

        return wrapped

    return decorate
