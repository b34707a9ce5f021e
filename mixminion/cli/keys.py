"""What the commands of ``mixminion key`` share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

import click

from mixminion import api
from mixminion.cli.client import run, say
from mixminion.cli.output import print_result
from mixminion.client import keys as client_keys
from mixminion.client.errors import BadInput
from mixminion.util import times

address_argument = click.argument("address")

LIMIT = 65_536
"""Octets of a file with a key in it; one more is read, so that it is seen to be too long."""


def read_key_file(name: str) -> bytes:
    """The octets of the file, or of standard input where it is ``-``.

    :raises BadInput: it cannot be read.
    """
    if name == "-":
        return sys.stdin.buffer.read(LIMIT + 1)
    try:
        with open(name, "rb") as file:
            return file.read(LIMIT + 1)
    except OSError as error:
        raise BadInput(name=name, why=os.strerror(error.errno or 0)) from None


def data_of(key: api.Key) -> Mapping[str, Any]:
    """For programs."""
    other = key.offered and {
        "fingerprint": key.offered.fingerprint,
        "origin": key.offered.origin,
        "since": times.to_text(key.offered.since),
    }
    return {
        "address": key.address,
        "fingerprint": key.fingerprint,
        "origin": key.origin,
        "since": times.to_text(key.since),
        "verified": key.verified,
        "other": other,
    }


def lines_of(key: api.Key) -> Iterator[str]:
    """For people."""
    yield f"{key.address}: {standing(key)}"
    yield f"  {key.fingerprint}"
    if key.offered is not None:
        since = times.to_text(key.offered.since)
        yield f"  another key came from {whence(key.offered.origin)}, {since}, and is not trusted:"
        yield f"  {key.offered.fingerprint}"


def standing(key: api.Key) -> str:
    """What is known of a key, in words."""
    compared = "verified" if key.verified else "not verified"
    return f"{compared}, from {whence(key.origin)}, since {times.to_text(key.since)}"


def whence(origin: str) -> str:
    """Where a key is from, in words."""
    return "a file" if origin == client_keys.FILE else f"the source {origin}"


COMPARE = "compare the fingerprint with its owner, then say so with `mixminion key verify`"


def change(
    config: api.Config,
    work: Callable[[api.Client], Coroutine[Any, Any, api.Key]],
    *,
    as_json: bool,
) -> None:
    """Run *work*, show the key that it gives, and what is to be done about it."""
    key = run(config, work)
    print_result(data_of(key), lines_of(key), as_json=as_json)
    if not as_json and not key.verified:
        say(COMPARE)
