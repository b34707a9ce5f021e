"""Where a server stands with this authority, and why: a pure function of what is known.

A server is listed when its operator was let in (by hand, or by having waited), it has a valid
descriptor, and whoever dials its addresses finds it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mixminion.authority.config import AdmissionSection, Settings
from mixminion.authority.records import Decision, Described, Dialled, Record
from mixminion.directory.receipt import State
from mixminion.util.hostport import HostPort
from mixminion.util.times import to_text

FAILURES = 3
"""Dials in a row that have to fail before a server that was reachable is not any more."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A state, and the sentence that says why and what to do."""

    state: State
    reason: str


UNKNOWN = Standing(
    State.UNKNOWN,
    "This authority has no descriptor of this server: it has to publish one here.",
)


def standing(record: Record | None, settings: Settings, now: float) -> Standing:
    """Where the server of *record* stands at *now* (Unix seconds)."""
    if record is None:
        return UNKNOWN
    if record.decision in (Decision.BANNED, Decision.REJECTED):
        return _turned_away(record)
    described = record.described
    if described is None:
        return UNKNOWN
    if not described.valid(now):
        return Standing(
            State.UNKNOWN,
            f"Its descriptor, or the signing key's certificate, was valid from"
            f" {to_text(described.begins)} until {to_text(described.ends)}:"
            " it has to publish a newer one.",
        )
    return (
        _waiting(record, settings.admission, now)
        or _reachable(record, described, settings.admission)
        or Standing(State.LISTED, _listed(record, described))
    )


def _turned_away(record: Record) -> Standing:
    note = f" ({record.note})" if record.note else ""
    if record.decision is Decision.BANNED:
        text = f"This authority's operator has banned this server{note}: ask him why."
        return Standing(State.BANNED, text)
    text = f"This authority's operator does not list this server{note}: ask him why."
    return Standing(State.REFUSED, text)


def _waiting(record: Record, admission: AdmissionSection, now: float) -> Standing | None:
    """Whether a newcomer waits still."""
    if record.decision is Decision.APPROVED or record.first_listed is not None:
        return None
    if admission.policy == "manual":
        text = "It waits for the approval of this authority's operator: tell him of it."
        return Standing(State.WAITING, text)
    until = record.first_seen + admission.waiting_time
    if now < until:
        text = f"New servers wait here; this one until {to_text(until)}."
        return Standing(State.WAITING, text)
    return None


def judged(described: Described, admission: AdmissionSection) -> list[HostPort]:
    """The published addresses that this authority can dial; a name may be of either family."""
    return [
        place
        for place in described.said.addresses
        if place.address is None or f"ipv{place.address.version}" in admission.dial_families
    ]


def _reachable(
    record: Record, described: Described, admission: AdmissionSection
) -> Standing | None:
    """Whether it is not found where it says it is: one address that is wrong is enough, since
    everybody takes any of them."""
    for place in judged(described, admission):
        found = record.dials.get(str(place))
        if found is None:
            text = f"Its address {place} has not been dialled yet; that is done within minutes."
            return Standing(State.WAITING, text)
        if not answers(found):
            text = (
                f"Nobody proved its identity at {place}: {found.problem}. It is dialled again;"
                " check the address it publishes, and that the port is open to everybody."
            )
            return Standing(State.UNREACHABLE, text)
    return None


def answers(found: Dialled) -> bool:
    """Whether an address counts as reachable: a few failures are forgiven once it was."""
    return found.failures < (1 if found.reached is None else FAILURES)


def _listed(record: Record, described: Described) -> str:
    said = "It is in this authority's vote"
    if described.said.insecure:
        modes = ", ".join(described.said.insecure)
        return f"{said}, but paths do not use it: insecure modes are on ({modes})."
    if not described.said.addresses:
        return f"{said}, but paths do not use it: it publishes no address."
    return f"{said}."


def admitted(records: Iterable[Record], settings: Settings, now: float) -> Iterator[Record]:
    """The servers this authority votes for."""
    return (r for r in records if standing(r, settings, now).state is State.LISTED)


def exit_from(record: Record | None, admission: AdmissionSection) -> float | None:
    """From when on a server may be an exit; None where that is not known yet."""
    if record is not None and record.exit:
        return 0.0
    if not admission.exit_waiting_time:
        return 0.0
    if record is None or record.first_listed is None:
        return None
    return record.first_listed + admission.exit_waiting_time


def forgettable(record: Record, admission: AdmissionSection, now: float) -> bool:
    """Whether nothing was heard of a server for so long that its name is free again."""
    if record.decision is Decision.BANNED:
        return False
    last = record.first_seen if record.described is None else record.described.ends
    newcomer = record.first_listed is None and record.decision is Decision.NONE
    return now >= last + (admission.forget_after / 10 if newcomer else admission.forget_after)
