"""What can be wrong with files and folders; all of it is the operator's to mend."""

from __future__ import annotations

from mixminion.errors import EX_CANTCREAT, EX_CONFIG, EX_NOPERM, OperatorError


class PrivateFileError(OperatorError):
    """A private file or a folder above it can be read or changed by others."""

    code = "private-file"
    sentence = "{path} {what}; mend it with: {command}"
    exit_code = EX_NOPERM


class WriteFailed(OperatorError):
    """A file or folder could not be made or written."""

    code = "write-failed"
    sentence = "Cannot write {path}: {reason}."
    exit_code = EX_CANTCREAT


class HomeInUse(OperatorError):
    """Another process runs from this home."""

    code = "home-in-use"
    sentence = "The home {home} is in use by process {pid}; stop that one first."
    exit_code = EX_CANTCREAT


class NotInMemory(OperatorError):
    """A key store that should be in memory is on something else."""

    code = "key-store-not-in-memory"
    sentence = (
        "The key store {path} is on {kind}, not in memory: name a folder on a tmpfs in "
        "key-store-path, or set key-store = disk."
    )
    exit_code = EX_CONFIG


class KeyDamaged(OperatorError):
    """A storage key's file is not what was written."""

    code = "storage-key-damaged"
    sentence = (
        "The storage key {path} cannot be read; move it away and start again: what was stored "
        "under it is lost."
    )
