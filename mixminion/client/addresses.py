"""What people write after ``-t``, and what the exit gets of it.

``user@dom`` goes to the exit named ``smtp``; ``drop`` is thrown away by the exit ``drop``;
``mbox:name@server`` is a user of that server, ``mbox:name`` of whichever server has one;
``mailbox:CAPABILITY@server`` is a mailbox (doc/spec/mailbox.rst); ``news:group,group`` are
newsgroups (RFC 5536); ``exit:text`` names the exit, and what stands behind the colon is for that
exit to read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mixminion.client.errors import BadAddress
from mixminion.mail import address as mail_address
from mixminion.mail import errors as mail_errors
from mixminion.payload import capability
from mixminion.payload.errors import BadCapability

MAIL_EXIT = "smtp"
DROP_EXIT = "drop"
MBOX_EXIT = "mbox"
NEWS_EXIT = "news"
MAILBOX_EXIT = "mailbox"

_EXIT = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
_USER = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9_.-]{0,63})(?:@([A-Za-z][A-Za-z0-9_-]{0,19}))?", re.ASCII
)
_GROUP = re.compile(r"[A-Za-z0-9+_-]+(\.[A-Za-z0-9+_-]+)*", re.ASCII)
_SERVER = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,19}", re.ASCII)
_CAPABILITY = "behind mailbox: stand the 43 characters that its owner gave out, @ and the server"
_LONGEST_TEXT = 1024


@dataclass(frozen=True, slots=True)
class Address:
    """An exit by its delivery name, and the recipients it is given.

    ``mail`` says whether a message for it is one of RFC 5322.  ``server`` is the nickname of the
    server that has to be the last of the path, if the address names one.
    """

    exit: str
    recipients: tuple[str, ...]
    mail: bool
    server: str | None = None


def parse(text: str) -> Address:
    """Read one address.

    :raises BadAddress: with what is wrong.
    """
    if text == DROP_EXIT:
        return Address(DROP_EXIT, (), mail=False)
    exit_name, colon, rest = text.partition(":")
    if not colon:
        exit_name, rest = MAIL_EXIT, text
    elif not _EXIT.fullmatch(exit_name):
        raise BadAddress(address=text, why="an exit's name has small letters, digits and hyphens")
    elif not 0 < len(rest) <= _LONGEST_TEXT or not rest.isprintable():
        why = f"behind the colon stand 1 to {_LONGEST_TEXT} printable characters"
        raise BadAddress(address=text, why=why)
    elif exit_name == MBOX_EXIT:
        return _user(text, rest)
    elif exit_name == NEWS_EXIT:
        return _groups(text, rest)
    elif exit_name == MAILBOX_EXIT:
        return _mailbox(text, rest)
    try:
        return Address(exit_name, (str(mail_address.parse(rest)),), mail=True)
    except mail_errors.BadAddress as error:
        if exit_name == MAIL_EXIT:
            raise BadAddress(address=text, why=error.fields["why"]) from None
    return Address(exit_name, (rest,), mail=False)


def _user(text: str, rest: str) -> Address:
    found = _USER.fullmatch(rest)
    if found is None:
        why = "a local user is a name of letters, digits, -, _ and ., then perhaps @ and a server"
        raise BadAddress(address=text, why=why)
    return Address(MBOX_EXIT, (found[1],), mail=True, server=found[2])


def _mailbox(text: str, rest: str) -> Address:
    key, _, server = rest.rpartition("@")
    try:
        capability.parse(key)
    except BadCapability as error:
        raise BadAddress(address=text, why=_CAPABILITY) from error
    if not _SERVER.fullmatch(server):
        raise BadAddress(address=text, why=_CAPABILITY)
    return Address(MAILBOX_EXIT, (key,), mail=False, server=server)


def _groups(text: str, rest: str) -> Address:
    groups = tuple(rest.split(","))
    if not all(map(_GROUP.fullmatch, groups)) or len(set(groups)) < len(groups):
        why = "behind news: stand different newsgroups such as misc.test, with commas between them"
        raise BadAddress(address=text, why=why)
    return Address(NEWS_EXIT, groups, mail=True)
