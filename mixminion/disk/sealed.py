"""Private files that a passphrase may protect (:mod:`mixminion.crypto.passphrase`)."""

from __future__ import annotations

from pathlib import Path

from mixminion.crypto.passphrase import MAGIC, DoesNotOpen, Passphrase, UnknownForm, is_sealed
from mixminion.disk import private
from mixminion.errors import EX_NOPERM, OperatorError


class WrongPassphrase(OperatorError):
    """The passphrase does not open a key's file."""

    code = "wrong-passphrase"
    sentence = "The passphrase does not open {path}: give the one that it was protected with."
    exit_code = EX_NOPERM


class NoPassphrase(OperatorError):
    """A key's file is protected and no passphrase was given."""

    code = "no-passphrase"
    sentence = (
        "{path} is protected by a passphrase: say where it comes from, with passphrase in the "
        "configuration or with an option of the command."
    )


class UnknownSeal(OperatorError):
    """A protected file is damaged, or of a later version."""

    code = "sealed-file-unknown"
    sentence = (
        "{path} is damaged, or a newer Mixminion protected it: put back the copy you kept of it, "
        "or run the newer Mixminion again."
    )


def write(path: Path, octets: bytes, purpose: bytes, passphrase: Passphrase | None) -> None:
    """Make *path* a private file with *octets*, protected when there is a passphrase.

    Raises :class:`~mixminion.disk.errors.WriteFailed`.
    """
    private.write(path, octets if passphrase is None else passphrase.seal(octets, purpose))


def read(path: Path, purpose: bytes, passphrase: Passphrase | None) -> bytes:
    """What was written, protected or not.

    Raises :class:`WrongPassphrase`, :class:`NoPassphrase`, :class:`UnknownSeal` and what
    :func:`mixminion.disk.private.read` does.
    """
    octets = private.read(path)
    if not is_sealed(octets):
        return octets
    if passphrase is None:
        raise NoPassphrase(path=path)
    try:
        return passphrase.open(octets, purpose)
    except DoesNotOpen:
        raise WrongPassphrase(path=path) from None
    except UnknownForm:
        raise UnknownSeal(path=path) from None


def is_protected(path: Path) -> bool:
    """Whether a passphrase protects the file; nothing secret is read of one that has none."""
    with open(path, "rb", buffering=0) as file:
        return is_sealed(file.read(len(MAGIC)))


def read_either(
    path: Path, purpose: bytes, old: Passphrase | None, new: Passphrase | None
) -> bytes:
    """What was written, protected by *old*, or by *new* as an interrupted change leaves some."""
    try:
        return read(path, purpose, old)
    except (WrongPassphrase, NoPassphrase) as error:
        try:
            return read(path, purpose, new)
        except (WrongPassphrase, NoPassphrase):
            raise error from None
