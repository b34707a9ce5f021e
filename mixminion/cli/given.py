"""The input of a command, from a file or standard input."""

from __future__ import annotations

import os
import sys

from mixminion.cli.client import say
from mixminion.client.errors import BadInput

STANDARD_INPUT = "-"


def read(source: str, wanted: str = "Type the message") -> bytes:
    """All of the file *source*; *wanted* is said to whoever has to type it.

    :raises BadInput: it cannot be read.
    """
    if source != STANDARD_INPUT:
        try:
            with open(source, "rb") as file:
                return file.read()
        except OSError as error:
            raise BadInput(name=source, why=os.strerror(error.errno or 0)) from None
    if sys.stdin.isatty():
        say(f"{wanted}; end it with Control-D on a line by itself.")
    return sys.stdin.buffer.read()
