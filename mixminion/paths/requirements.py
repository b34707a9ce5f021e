"""What the last hop of a path must deliver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mixminion.directory.consensus import Server
from mixminion.directory.parts import Exit
from mixminion.errors import UserError
from mixminion.paths.errors import (
    ExitTooSmall,
    NoExit,
    NoFragments,
    NoNewsgroup,
    NoReceipts,
    NotAllowed,
    TooManyRecipients,
)
from mixminion.util.newsgroups import among

FRAGMENTS = "fragments"
"""In the policy of exits that take messages in fragments."""
RECEIPTS = "receipts"
"""In the policy of exits that tell senders what became of their messages."""
MOST_RECIPIENTS = "max-recipients"
"""In the policy of exits that take no more recipients of one message."""


@dataclass(frozen=True, slots=True)
class ExitRequirement:
    """What the last hop must deliver: an exit's name, octets of content, whether they come in
    fragments, what its published policy must not refuse, such as ``allow-from``, to how many
    recipients, to which newsgroups, and whether receipts are to come; and servers, by identity,
    that will not do."""

    name: str
    size: int = 0
    fragments: bool = False
    allowing: frozenset[str] = frozenset()
    recipients: int = 0
    groups: tuple[str, ...] = ()
    receipts: bool = False
    elsewhere: frozenset[bytes] = frozenset()

    def problem(self, server: Server) -> str | None:
        """Why *server* is not such an exit; None when it is."""
        found = server.exit(self.name)
        if found is None:
            return f"it has no exit {self.name!r}"
        if found.max_message < self.size:
            return f"its exit {self.name!r} takes at most {found.max_message} octets"
        if self.fragments and FRAGMENTS not in found.policy:
            return f"its exit {self.name!r} takes no messages in fragments"
        if self.receipts and not found.policy.get(RECEIPTS):
            return f"its exit {self.name!r} sends no receipts"
        if server.identity in self.elsewhere:
            return "it was tried before"
        if self.most(found) < self.recipients:
            return f"its exit {self.name!r} takes at most {self.most(found)} recipients"
        if not self.posts(found):
            return f"its exit {self.name!r} does not post to {' and '.join(self.groups)}"
        refused = self.refused(found)
        if refused:
            return f"its exit {self.name!r} does not {' and '.join(map(_in_words, refused))}"
        return None

    def most(self, found: Exit) -> int:
        """How many recipients the exit takes; as many as there are where it does not say."""
        most = found.policy.get(MOST_RECIPIENTS)
        return most if isinstance(most, int) else self.recipients

    def posts(self, found: Exit) -> bool:
        """Whether the exit takes articles for the groups; one that does not say takes them."""
        allowed, denied = (found.policy.get(key) for key in ("groups", "deny"))
        return all(
            (not isinstance(allowed, list) or among(group, allowed))
            and not (isinstance(denied, list) and among(group, denied))
            for group in self.groups
        )

    def refused(self, found: Exit) -> list[str]:
        """What is asked for and not allowed there; an exit that does not say allows it."""
        return sorted(word for word in self.allowing if not found.policy.get(word, True))

    def lacking(self, servers: Sequence[Server]) -> UserError:
        """What is wrong when none of *servers* is such an exit."""
        named = [each for server in servers for each in server.exits if each.name == self.name]
        if not named:
            return NoExit(exit=self.name)
        allowing = [each for each in named if not self.refused(each)]
        if not allowing:
            words = " and ".join(map(_in_words, sorted(self.allowing)))
            return NotAllowed(exit=self.name, what=words.replace("allow ", ""))
        most = max(map(self.most, allowing))
        if most < self.recipients:
            return TooManyRecipients(exit=self.name, recipients=self.recipients, most=most)
        enough = [each for each in allowing if self.most(each) >= self.recipients]
        posting = [each for each in enough if self.posts(each)]
        if not posting:
            return NoNewsgroup(exit=self.name, groups=" and ".join(self.groups))
        largest = max(each.max_message for each in posting)
        if largest < self.size:
            return ExitTooSmall(exit=self.name, size=self.size, most=largest)
        if self.receipts and not any(each.policy.get(RECEIPTS) for each in posting):
            return NoReceipts(exit=self.name)
        return NoFragments(exit=self.name)


def _in_words(permission: str) -> str:
    """``allow-reply-to`` as people say it."""
    verb, _, what = permission.partition("-")
    return f"{verb} {what.title()}"
