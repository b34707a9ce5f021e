"""Requests, answers, and names for sockets whose paths are long."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mixminion.control.errors import PathTooLong

VERSION = 1
MAX_REQUEST = 64 * 1024
MAX_ANSWER = 4 * 1024 * 1024

_MAX_NAME = 100
"""Octets of a socket's name that fit everywhere; Linux takes 107, others 103."""


def encode(fields: Mapping[str, Any]) -> bytes:
    """One line, line feed included."""
    return json.dumps({"version": VERSION, **fields}, sort_keys=True).encode("ascii") + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The object on a line; :class:`ValueError` when it is none of our version."""
    try:
        fields = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(fields, dict) or fields.get("version") != VERSION:
        raise ValueError("not an object of this version")
    return fields


@contextmanager
def named(path: Path) -> Iterator[str]:
    """A name for the socket at *path* that fits into a socket address, good inside the block.

    A long path is reached through its open folder, where ``/proc`` allows it.
    """
    if len(os.fsencode(path)) <= _MAX_NAME:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        name = f"/proc/self/fd/{folder}/{path.name}"
        if len(os.fsencode(name)) > _MAX_NAME or not os.path.isdir(os.path.dirname(name)):
            raise PathTooLong(path=path)
        yield name
    finally:
        os.close(folder)
