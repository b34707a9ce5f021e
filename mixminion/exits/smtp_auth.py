"""Saying who we are to a mail server (RFC 4954): PLAIN (RFC 4616) or LOGIN.

Both hand over the password as it is, so they are spoken under TLS only, with a server whose
certificate was checked; the configuration and the session see to that.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mixminion.disk import private
from mixminion.errors import OperatorError

LONGEST_PASSWORD = 200
"""Octets; a command line has 512 at most."""


class NoPassword(OperatorError):
    """A ``password-file`` holds no password.  Fields: ``path``, ``problem``."""

    code = "password-file"
    sentence = "There is no password to be had from {path}: {problem}."


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and its password."""

    user: str
    password: bytes = field(repr=False)


def read(user: str, path: Path) -> Credentials:
    """The credentials of *user*; the password is the first line of a private file.

    :raises NoPassword: it is missing, empty or too long.
    :raises mixminion.disk.errors.PrivateFileError: others can read it.
    """
    try:
        password = private.read(path).split(b"\n", 1)[0].removesuffix(b"\r")
    except FileNotFoundError:
        raise NoPassword(path=path, problem="there is no such file") from None
    if not password or b"\0" in password:
        raise NoPassword(path=path, problem="its first line is empty or holds a NUL")
    if len(password) > LONGEST_PASSWORD:
        raise NoPassword(path=path, problem=f"it is longer than {LONGEST_PASSWORD} octets")
    return Credentials(user, password)


def lines(offered: Iterable[bytes], credentials: Credentials) -> list[bytes] | None:
    """What to say, line by line, each after the first in answer to 334; None when the server
    offers no way that we know.  *offered* are mechanisms in capitals."""
    user, password = credentials.user.encode(), credentials.password
    mechanisms = set(offered)
    if b"PLAIN" in mechanisms:
        return [b"AUTH PLAIN " + b64encode(b"\0" + user + b"\0" + password)]
    if b"LOGIN" in mechanisms:
        return [b"AUTH LOGIN", b64encode(user), b64encode(password)]
    return None
