"""Commands run in processes of their own, and waiting for what they do."""

from __future__ import annotations

import random
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PYTHON = [sys.executable, "-P"]
PORTS = range(20_000, 32_000)  #: below those that systems give to outgoing connections


class NetworkError(Exception):
    """A part of a network could not be made or started; the text says what it printed."""


def mixminion(*arguments: str | Path, text: str = "") -> str:
    """Run ``mixminion`` in a process of its own; what it printed.

    :raises NetworkError: it ended with another code than 0.
    """
    done = subprocess.run(
        [*PYTHON, "-m", "mixminion", *map(str, arguments)],
        input=text,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        command = shlex.join(["mixminion", *map(str, arguments)])
        raise NetworkError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def free_port(hosts: Sequence[str]) -> int:
    """A port that is free on every one of *hosts*."""
    for port in random.sample(PORTS, 100):
        try:
            for host in hosts:
                with socket.socket() as trial:
                    trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    trial.bind((host, port))
        except OSError:
            continue
        return port
    raise NetworkError("no port is free on all of " + ", ".join(hosts))


def answers(address: str) -> bool:
    """Whether something accepts connections there."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1.0).close()
    except OSError:
        return False
    return True


def wait_until(true: Any, seconds: float, complaint: str) -> None:
    """Look again and again until *true* returns something true."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise NetworkError(complaint)
        time.sleep(0.05)
