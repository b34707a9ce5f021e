"""Directory documents in files that a command is given."""

from __future__ import annotations

import os
from pathlib import Path

from mixminion.client.errors import BadInput
from mixminion.directory.consensus import LIMIT, Consensus
from mixminion.directory.envelope import Envelope
from mixminion.errors import EX_DATAERR, PeerError


def read_file(path: Path) -> bytes:
    """A file's octets, of which no more are read than any directory has.

    :raises BadInput: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(LIMIT + 1)
    except OSError as error:
        raise BadInput(name=str(path), why=os.strerror(error.errno or 0)) from None


def open_consensus(octets: bytes) -> tuple[Consensus, Envelope]:
    """A consensus that somebody gave us, its signatures not checked.

    :raises PeerError: it is malformed.
    """
    try:
        return Consensus.open(octets)
    except PeerError as error:
        raise refused(error) from None


def refused(error: PeerError) -> PeerError:
    """*error*, about a file and not about a server: with the exit code of wrong data."""
    error.fields["exit_code"] = EX_DATAERR
    return error
