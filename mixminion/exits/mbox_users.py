"""The users of an mbox exit: a file with a section for each name.

::

    [User alice]
    maildir = /home/alice/Maildir

    [User bob]
    address = bob@example.org
    form = text
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mixminion.config import BadValue, ConfigErrors, option, parse, section, values
from mixminion.config.values import Value
from mixminion.errors import OperatorError
from mixminion.mail import address as mail_address
from mixminion.mail.errors import BadAddress

MIME = "mime"
TEXT = "text"

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
_PLACES = ("address", "lmtp", "maildir", "mbox", "mh")


class UnusableUsers(OperatorError):
    """The file of users cannot be read.  Fields: ``path``, ``reason``."""

    code = "unusable-users"
    sentence = "The file of users {path} cannot be read: {reason}."


def name_of(recipient: str) -> str:
    """The user that a sender means: letters are small ones, whatever he wrote."""
    return recipient.lower() if recipient.isascii() else recipient


def _address(text: str) -> str:
    try:
        return str(mail_address.parse(text))
    except BadAddress as error:
        raise BadValue(f"expected {address.expected}: {error.fields['why']}") from None


def _recipient(text: str) -> str:
    try:
        return (
            str(mail_address.parse(text))
            if "@" in text
            else mail_address.parse(f"{text}@a.b").local_part
        )
    except BadAddress:
        raise ValueError from None


address: Value[str] = Value("an address such as alice@example.org", _address)
recipient: Value[str] = Value("a recipient such as alice or alice@example.org", _recipient)


@section("User", named=True)
class User:
    """One local user, under the name that senders write; exactly one of address, lmtp, maildir,
    mbox and mh says where his mail goes."""

    form: str = option(
        values.choice(MIME, TEXT),
        default=MIME,
        doc="""Mail as it is, replies as an attachment; or both as armored text, to be given to
        mixminion decode.""",
    )
    address: str | None = option(
        address, default=None, doc="A mail address, reached as the exit's section says."
    )
    lmtp: str | None = option(
        recipient, default=None, doc="A recipient of the LMTP server of the exit's section."
    )
    maildir: Path | None = option(
        values.path, default=None, doc="A Maildir that is there, with cur, new and tmp."
    )
    mbox: Path | None = option(
        values.path, default=None, doc="A file in mbox format; made if it is missing."
    )
    mh: Path | None = option(values.path, default=None, doc="A folder of MH that is there.")

    def problems(self) -> Iterator[tuple[str, str]]:
        """What only several keys together show."""
        given = [key for key in _PLACES if getattr(self, key) is not None]
        if len(given) != 1:
            yield (
                given[-1] if given else "maildir",
                "expected exactly one of address, lmtp, maildir, mbox, mh",
            )


def read(path: Path) -> Mapping[str, User]:
    """The users of the file at *path*; relative paths in it are under its folder.

    :raises UnusableUsers: it is not there, not to be read, or not text.
    :raises mixminion.config.ConfigErrors: with everything that is wrong in it.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise UnusableUsers(path=path, reason=error.strerror) from None
    except UnicodeDecodeError:
        raise UnusableUsers(path=path, reason="it is not in UTF-8") from None
    return of_text(text, path)


def of_text(text: str, path: Path) -> Mapping[str, User]:
    """The users that *text* would give as the file at *path*; see :func:`read`."""
    found = parse(text, filename=str(path), sections=[User], named_resolver=_named)
    return found.named(User)


def _named(kind: str, name: str, texts: Mapping[str, str]) -> type:
    if not _NAME.fullmatch(name):
        raise BadValue("a user's name is 1 to 64 small letters, digits, -, _ and .")
    return User


def complaints(path: Path, accept: Callable[[User], str | None]) -> list[str]:
    """What is wrong with the file at *path*, one line each: its form, and each user that
    *accept* has something to say of."""
    try:
        users = read(path)
    except UnusableUsers as error:
        return [f"expected a file of users that can be read: {error.fields['reason']}"]
    except ConfigErrors as errors:
        return [str(problem) for problem in errors.problems]
    said = ((name, accept(user)) for name, user in users.items())
    return [f"{path}: [User {name}]: {why}" for name, why in said if why is not None]


class Users:
    """The users of the file at *path* as they hold: read again when the file has changed."""

    def __init__(self, path: Path, accept: Callable[[User], str | None]) -> None:
        self._path = path
        self._accept = accept
        self._stamp: tuple[int, ...] | None = None
        self._known: Mapping[str, User] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, recipient: str) -> User | None:
        """Who is meant by what a sender wrote."""
        return self._known.get(name_of(recipient))

    def look(self) -> bool:
        """Read the file if it is another one than at the last look; whether it was.  Blocks.

        What held before goes on to hold when this raises, and the next look reads again.

        :raises OperatorError: it cannot be read or has errors.
        """
        stamp = self._now()
        if stamp == self._stamp:
            return False
        users = read(self._path)
        for name, user in users.items():
            why = self._accept(user)
            if why is not None:
                raise UnusableUsers(path=self._path, reason=f"[User {name}]: {why}")
        self._known, self._stamp = users, stamp
        return True

    def _now(self) -> tuple[int, ...]:
        try:
            status = self._path.stat()
        except OSError as error:
            raise UnusableUsers(path=self._path, reason=error.strerror) from None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
