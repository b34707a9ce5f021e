"""What an operator asks of a running authority, and tells it about servers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mixminion.authority.admission import Standing, answers
from mixminion.authority.errors import UnknownServer
from mixminion.authority.intake import Judged
from mixminion.authority.records import Decision, Record
from mixminion.authority.server import AuthorityServer
from mixminion.directory.receipt import State
from mixminion.errors import render
from mixminion.util.times import to_text

_IDENTITY = re.compile(r"[0-9A-Fa-f]{64}")
NOTE = 100
"""Characters of a reason in the operator's words."""


class Desk:
    """Answers in JSON values."""

    def __init__(self, server: AuthorityServer) -> None:
        self._server = server

    def servers(self) -> list[Mapping[str, Any]]:
        """All servers, those that wait first, then by name; refused newcomers too."""
        found = [self._described(record) for record in self._server.register.records.values()]
        found += [self._refused(judged) for judged in self._strangers()]
        return sorted(
            found, key=lambda each: (_ORDER.index(each["state"]), each["nickname"].lower())
        )

    def waiting(self) -> int:
        """How many servers wait for the operator's word."""
        if self._server.settings.admission.policy != "manual":
            return 0
        records = self._server.register.records.values()
        return sum(
            r.decision is Decision.NONE and r.first_listed is None and r.described is not None
            for r in records
        )

    async def decide(
        self, name: str, decision: Decision, *, exit: bool = False, note: str = ""
    ) -> Mapping[str, Any]:
        """Let a server in, or do not; it is listed, or not, from the next consensus on.

        :raises UnknownServer: nobody is called *name*, which is a nickname or an identity.
        """
        identity = self._identity(name)
        record = await self._server.register.decide(identity, decision, exit=exit, note=note[:NOTE])
        self._server.dialback.soon(record)
        return self._described(record)

    def _identity(self, name: str) -> bytes:
        if _IDENTITY.fullmatch(name):
            return bytes.fromhex(name)
        record = self._server.register.by_name(name)
        if record is not None:
            return record.identity
        asked = {j.identity for j in self._strangers() if j.nickname.lower() == name.lower()}
        if len(asked) != 1:  # nobody, or several who were refused and want one name
            raise UnknownServer(name=name)
        return asked.pop()

    def _strangers(self) -> Iterator[Judged]:
        """Who was refused and is not in the register."""
        records = self._server.register.records
        return (j for j in self._server.intake.refused if j.identity not in records)

    def _described(self, record: Record) -> Mapping[str, Any]:
        standing, _ = self._server.intake.standing(record.identity)
        described = record.described
        said = None if described is None else described.said
        return {
            **_head(record.nickname or "", record.identity, standing),
            "decision": str(record.decision),
            "exit": record.exit,
            "note": record.note,
            "listed": self._server.lists(record.identity),
            "first-seen": to_text(record.first_seen),
            "first-listed": None if record.first_listed is None else to_text(record.first_listed),
            "reliability": self._server.figures.reliability(record.identity),
            "addresses": [
                {
                    "address": str(place),
                    "answers": answers(record.dials[str(place)])
                    if str(place) in record.dials
                    else None,
                }
                for place in (() if said is None else said.addresses)
            ],
            "exits": [] if said is None else [each.name for each in said.exits],
            "family": "" if said is None else said.family,
            "contact": "" if said is None else said.contact,
            "software": "" if said is None else said.software,
            "descriptor-ends": None if described is None else to_text(described.ends),
        }

    @staticmethod
    def _refused(judged: Judged) -> Mapping[str, Any]:
        reason = "" if judged.refusal is None else render(judged.refusal)
        standing = Standing(State.REFUSED, reason)
        return {
            **_head(judged.nickname, judged.identity, standing),
            "decision": str(Decision.NONE),
            "listed": False,
        }


_ORDER = [
    str(state)
    for state in (
        State.WAITING,
        State.REFUSED,
        State.UNREACHABLE,
        State.LISTED,
        State.UNKNOWN,
        State.BANNED,
    )
]


def _head(nickname: str, identity: bytes, standing: Standing) -> dict[str, Any]:
    return {
        "nickname": nickname,
        "identity": identity.hex(),
        "state": str(standing.state),
        "reason": standing.reason,
    }
