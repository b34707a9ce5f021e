"""What people write after ``-t``, and what the exit gets of it.

``user@dom`` goes to the exit named ``smtp``; ``drop`` is thrown away by the exit ``drop``;
``exit:text`` names the exit, and what stands behind the colon is for that exit to read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mixminion.client.errors import BadAddress
from mixminion.mail import address as mail_address
from mixminion.mail import errors as mail_errors

MAIL_EXIT = "smtp"
DROP_EXIT = "drop"

_EXIT = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
_LONGEST_TEXT = 1024


@dataclass(frozen=True, slots=True)
class Address:
    """An exit by its delivery name, and the recipients it is given.

    ``mail`` says whether the recipient is a mail address, so that a message for it is one
    of RFC 5322.
    """

    exit: str
    recipients: tuple[str, ...]
    mail: bool


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
    try:
        return Address(exit_name, (str(mail_address.parse(rest)),), mail=True)
    except mail_errors.BadAddress as error:
        if exit_name == MAIL_EXIT:
            raise BadAddress(address=text, why=error.fields["why"]) from None
    return Address(exit_name, (rest,), mail=False)
