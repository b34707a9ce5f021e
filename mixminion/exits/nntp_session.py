"""Posting to a news server: RFC 3977, with STARTTLS (RFC 4642) and AUTHINFO (RFC 4643)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint

from mixminion.exits.dialogue import Answer, Away, Dialogue, Dialogues
from mixminion.exits.smtp_auth import Credentials
from mixminion.interfaces import Clock, Outcome, OutcomeKind
from mixminion.mail import data

DUPLICATE = Outcome(OutcomeKind.DELIVERED, "duplicate")

_STATUS = {"y": None, "m": "moderated"}
_REFUSED = re.compile(r"43[5-7]\b", re.ASCII)


@dataclass(frozen=True, slots=True)
class Manner:
    """How to speak with the server: *tls* to start (None never does, or has it from the
    beginning), whether it is *required*, who we are, and seconds for each answer and for the one to
    a whole article."""

    tls: IOpenSSLClientConnectionCreator | None
    required: bool
    credentials: Credentials | None
    timeout: float
    final_timeout: float


class NewsServer:
    """One server; a connection for each article."""

    def __init__(self, clock: Clock, endpoint: IStreamClientEndpoint, manner: Manner) -> None:
        self._dialogues = Dialogues(clock, endpoint, manner.timeout)
        self._manner = manner

    async def post(self, groups: Sequence[str], message_id: str, article: bytes) -> Outcome:
        """Hand over *article*, which is for *groups*.

        An article that the server has already under this Message-ID is delivered.
        """
        try:
            dialogue = await self._dialogues.open()
            try:
                await self._get_ready(dialogue)
                for group in groups:
                    refused = await _refused(dialogue, group)
                    if refused is not None:
                        return Outcome(OutcomeKind.PERMANENT, refused)
                return await self._post(dialogue, message_id, article)
            finally:
                dialogue.leave()
        except Away as error:
            return Outcome(OutcomeKind.UNREACHABLE, error.reason)

    async def stop(self) -> None:
        """Let articles under way end."""
        await self._dialogues.stop()

    async def _get_ready(self, dialogue: Dialogue) -> None:
        _expect(await dialogue.answer(), 200, 201)
        known = await _capabilities(dialogue)
        if known is None or "MODE-READER" in known:
            _expect(await dialogue.ask("MODE READER"), 200, 201, 500)
            known = await _capabilities(dialogue)
        if self._manner.tls is not None:
            await self._start_tls(dialogue, self._manner.tls, known or ())
        if self._manner.credentials is not None:
            await _authenticate(dialogue, self._manner.credentials)

    async def _start_tls(
        self, dialogue: Dialogue, tls: IOpenSSLClientConnectionCreator, known: Sequence[str]
    ) -> None:
        # Who cannot list what he can may know STARTTLS all the same.
        may = "STARTTLS" in known or (not known and self._manner.required)
        if may and (await dialogue.ask("STARTTLS")).code == 382:
            dialogue.start_tls(tls)
            return
        if self._manner.required:
            raise dialogue.give_up("tls-missing")

    async def _post(self, dialogue: Dialogue, message_id: str, article: bytes) -> Outcome:
        _expect(await dialogue.ask("POST"), 340)
        octets = data.encode(article)
        answer = await dialogue.hand_over(octets, self._manner.final_timeout)
        code = answer.code
        if code == 441:  # some say behind it why their own server has refused (RFC 3977, 6.3.2)
            why = _REFUSED.match(answer.texts[0])
            code = int(why[0]) if why is not None else code
        if code == 240:
            return Outcome(OutcomeKind.DELIVERED, "nntp-240")
        if code == 435:
            return DUPLICATE
        if code == 436:
            return Outcome(OutcomeKind.TEMPORARY, "nntp-436")
        if code not in (437, 441):
            raise Away(f"nntp-{code}")
        if (await dialogue.ask(f"STAT {message_id}")).code == 223:
            return DUPLICATE
        return Outcome(OutcomeKind.PERMANENT, f"nntp-{code}")


async def _capabilities(dialogue: Dialogue) -> list[str] | None:
    """The first words of what the server can; None when it cannot tell."""
    if (await dialogue.ask("CAPABILITIES")).code != 101:
        return None
    return [line.split()[0].upper() for line in await dialogue.block() if line.strip()]


async def _authenticate(dialogue: Dialogue, credentials: Credentials) -> None:
    answer = await dialogue.ask(f"AUTHINFO USER {credentials.user}")
    if answer.code == 381:
        answer = await dialogue.ask(f"AUTHINFO PASS {credentials.password.decode('ascii')}")
    _expect(answer, 281)


async def _refused(dialogue: Dialogue, group: str) -> str | None:
    """Why nothing may be posted to *group* here; None when it may."""
    _expect(await dialogue.ask(f"LIST ACTIVE {group}"), 215)
    found = [line.split() for line in await dialogue.block()]
    status = next((words[3] for words in found if len(words) > 3 and words[0] == group), None)
    if status is None:
        return "unknown-group"
    return _STATUS.get(status, "no-posting")


def _expect(answer: Answer, *codes: int) -> None:
    if answer.code not in codes:
        raise Away(f"nntp-{answer.code}")
