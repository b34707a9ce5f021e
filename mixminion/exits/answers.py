"""What the far side of mail says, as outcomes, and the ways out that bring them."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol

from mixminion.exits.smtp_session import SUCCESS, Envelope
from mixminion.interfaces import Outcome, OutcomeKind

PERMANENT = range(500, 600)
SESSION_CODES = frozenset({530, 534, 535, 538})
"""Answers that concern who we are and not the mail: TLS or authentication wanted."""

FINAL = frozenset({OutcomeKind.DELIVERED, OutcomeKind.PERMANENT})


class Way(Protocol):
    """One way for mails to leave by."""

    def send(self, envelope: Envelope) -> Awaitable[Mapping[str, Outcome]]:
        """One attempt: an outcome for each recipient.

        :raises mixminion.mail.errors.MailError: the mail can never leave this way.
        :raises mixminion.exits.smtp_session.Unreachable: nothing can leave now.
        """

    def stop(self) -> Awaitable[None]:
        """Let mails under way end; no attempt is under way any more when this fires."""


def of_code(code: int) -> Outcome:
    """What an SMTP answer means for a recipient (RFC 5321, 4.2.1)."""
    if code in SUCCESS:
        return Outcome(OutcomeKind.DELIVERED, "smtp-250")
    if code in SESSION_CODES:
        return Outcome(OutcomeKind.UNREACHABLE, f"smtp-{code}")
    permanent = code in PERMANENT
    kind = OutcomeKind.PERMANENT if permanent else OutcomeKind.TEMPORARY
    return Outcome(kind, f"smtp-{code}")


def together(outcomes: Mapping[str, Outcome]) -> Outcome:
    """The one outcome of a mail from those of its recipients, of which there is one at least.

    It is tried again while somebody's is not final, and delivered when somebody got it.
    """
    for kind in (OutcomeKind.UNREACHABLE, OutcomeKind.TEMPORARY):
        for outcome in outcomes.values():
            if outcome.kind is kind:
                return outcome
    refused = [each for each in outcomes.values() if each.kind is OutcomeKind.PERMANENT]
    delivered = [each for each in outcomes.values() if each.kind is OutcomeKind.DELIVERED]
    if not delivered:
        return refused[0]
    return Outcome(OutcomeKind.DELIVERED, "in-part") if refused else delivered[0]
