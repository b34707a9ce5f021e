"""Ask a running daemon.  Nothing of Twisted is needed, so that commands start quickly."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from mixminion.control import wire
from mixminion.control.errors import NoAnswer, NotAllowed, NotRunning, RemoteError

TIMEOUT = 30.0
"""Seconds a daemon has for one answer, unless told otherwise."""


def ask(path: Path, command: str, *, timeout: float = TIMEOUT, **arguments: Any) -> dict[str, Any]:
    """What the daemon at the socket *path* answers.

    Raises :class:`NotRunning`, :class:`NoAnswer`, :class:`NotAllowed`, and
    :class:`RemoteError` when the daemon answered with an error.
    """
    request = wire.encode({"command": command, "arguments": arguments})
    try:
        with wire.named(path) as name, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(name)
            connection.sendall(request)
            fields = wire.decode(_line(connection))
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
        raise NotRunning(path=path) from error
    except PermissionError as error:
        raise NotAllowed(path=path) from error
    except TimeoutError as error:
        raise NoAnswer(path=path, what=f"did not answer within {timeout:g} s") from error
    except OSError as error:
        raise NoAnswer(path=path, what="closed the connection") from error
    except ValueError as error:
        raise NoAnswer(path=path, what="answered with something else") from error
    return _answer(path, fields)


def _line(connection: socket.socket) -> bytes:
    octets = bytearray()
    while not octets.endswith(b"\n"):
        received = connection.recv(65536)
        if not received:
            raise ConnectionResetError
        octets += received
        if len(octets) > wire.MAX_ANSWER:
            raise ValueError("the answer is too long")
    return bytes(octets)


def _answer(path: Path, fields: dict[str, Any]) -> dict[str, Any]:
    match fields:
        case {"answer": dict(answer)}:
            return answer
        case {"error": {"code": str(code), "sentence": str(sentence), "exit-code": int(exit_code)}}:
            raise RemoteError(code=code, sentence=sentence, exit_code=exit_code)
        case _:
            raise NoAnswer(path=path, what="answered with something else")
