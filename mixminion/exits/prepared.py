"""A message with its mail made already, for an exit that hands it on to another one."""

from __future__ import annotations

from dataclasses import dataclass, field

from mixminion.interfaces import Message
from mixminion.mail.compose import Mail


@dataclass(frozen=True, slots=True)
class Prepared(Message):
    """A message that the exit for mail hands over as *mail*, and not as what is in it."""

    mail: Mail = field(kw_only=True)
