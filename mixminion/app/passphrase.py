"""Passphrases from where the operator said that they come from."""

from __future__ import annotations

import getpass
import os
import stat
import warnings

from mixminion.config.secret import Kind, SecretSource
from mixminion.disk import private
from mixminion.errors import OperatorError

LONGEST = 1024  #: octets


class NoSuchPassphrase(OperatorError):
    """There is no passphrase where it should come from."""

    code = "passphrase-unavailable"
    sentence = "There is no passphrase to be had from {source}: {problem}."


def read(source: SecretSource, question: str = "Passphrase: ", *, again: bool = False) -> bytes:
    """The passphrase; a descriptor is closed.  A new one is asked for twice, with *again*.

    Raises :class:`NoSuchPassphrase`, and :class:`~mixminion.disk.errors.PrivateFileError` for
    a file that others can read.
    """
    match source.kind:
        case Kind.FILE:
            octets = _file(source)
        case Kind.DESCRIPTOR:
            octets = _descriptor(source)
        case Kind.PROMPT:
            octets = _asked(source, question)
            if again and _asked(source, "The same again: ") != octets:
                raise NoSuchPassphrase(source=source, problem="these were two different ones")
    line = octets.split(b"\n", 1)[0].removesuffix(b"\r")
    if not line:
        raise NoSuchPassphrase(source=source, problem="its first line is empty")
    if len(line) > LONGEST:
        raise NoSuchPassphrase(source=source, problem=f"it is longer than {LONGEST} octets")
    return line


def given(source: SecretSource | None, question: str, *, again: bool = False) -> bytes | None:
    """The same, or None without a source."""
    return None if source is None else read(source, question, again=again)


def _file(source: SecretSource) -> bytes:
    try:
        return private.read(source.path)
    except OSError as error:
        raise NoSuchPassphrase(source=source, problem=os.strerror(error.errno or 0)) from None


def _descriptor(source: SecretSource) -> bytes:
    try:
        with open(source.number, "rb", closefd=source.number > 2) as file:
            if stat.S_ISCHR(os.fstat(source.number).st_mode):
                raise NoSuchPassphrase(source=source, problem="it is a terminal or a device")
            return file.read(LONGEST + 2)
    except OSError as error:
        raise NoSuchPassphrase(source=source, problem=os.strerror(error.errno or 0)) from None


def _asked(source: SecretSource, question: str) -> bytes:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # it would be shown
            return getpass.getpass(question).encode("utf-8", "surrogateescape")
    except (EOFError, OSError, getpass.GetPassWarning):
        raise NoSuchPassphrase(source=source, problem="there is no terminal to ask on") from None
