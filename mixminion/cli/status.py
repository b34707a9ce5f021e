"""``--status-fd``: what happens, as lines of JSON for a program that started the command."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any


class Status:
    """A descriptor that gets one line for each event.

    The reader may go away; the command does its work all the same.

    :raises ValueError: it is not open for writing.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        try:
            os.write(descriptor, b"")
        except OSError:
            raise ValueError from None

    def write(self, line: Mapping[str, Any]) -> None:
        """One event; it waits for a reader who is slow."""
        octets = json.dumps(line, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
        while octets and self._descriptor is not None:
            try:
                octets = octets[os.write(self._descriptor, octets) :]
            except OSError:
                self._descriptor = None
