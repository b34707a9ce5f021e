"""What the rounds say of themselves, for people: names for keys, sentences for what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mixminion.util.times import to_text

DID = {
    "absent": "did not vote",
    "other-instant": "voted for another time",
    "late": "voted too late",
    "garbled": "sent something that is no vote",
    "unavailable": "voted for descriptors that could not be fetched",
    "equivocated": "sent two different votes",
    "second-vote": "signed a second vote afterwards",
    "no-signature": "did not sign the consensus",
    "late-signature": "signed the consensus late",
    "other-consensus": "signed another consensus than most",
    "two-consensuses": "signed two consensuses that both count",
    "clock": "has a wrong clock",
}
"""By the words of :class:`mixminion.authority.conduct.Misdeed`."""

Name = Callable[[bytes], str]


def shown(status: Mapping[str, Any], name: Name) -> dict[str, Any]:
    """The parts of ``status`` that are about consensuses; *status* is the rounds' own, *name*
    says what people call an authority."""
    told: dict[str, Any] = {}
    if "next" in status:
        told["next-consensus"] = _next(status)
    held = status.get("consensus")
    if held is not None:
        told["last-consensus"] = {
            "valid-after": to_text(held["valid-after"]),
            "valid-until": to_text(held["valid-until"]),
            "digest": held["digest"],
            "signed": sorted(name(bytes.fromhex(each)) for each in held["signed"]),
            "needed": held["needed"],
        }
    everybody: dict[str, Any] = {}
    for who, did in status["authorities"].items():
        called = name(bytes.fromhex(who))
        label = called if called not in everybody else f"{called} {who[:8]}"
        everybody[label] = _authority(did)
    return told | {"authorities": everybody, "refusals": dict(status["refusals"])}


def _next(status: Mapping[str, Any]) -> Mapping[str, Any]:
    after = status["next"]["valid-after"]
    found = [each for each in status["instants"] if each["valid-after"] == after]
    current: Mapping[str, Any] = found[0] if found else {}
    told = {
        "valid-after": to_text(after),
        "votes-from": to_text(status["next"]["begins"]),
        "phase": current.get("phase", "waiting"),
    }
    return told | ({"round": current["round"]} if "round" in current else {})


def _authority(told: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "voted-for": to_text(told["voted"]) if "voted" in told else None,
        "signed": to_text(told["signed"]) if "signed" in told else None,
        "clock-ahead": told.get("clock-ahead"),
        "silent": told.get("silent"),
        "misdeeds": [_deed(each) for each in told["misdeeds"]],
    }


def _deed(told: Mapping[str, Any]) -> str:
    detail = f" ({told['detail']})" if told.get("detail") else ""
    return f"{to_text(told['valid-after'])}: {DID.get(told['what'], told['what'])}{detail}"


def problems(
    status: Mapping[str, Any], name: Name, me: bytes, now: float, interval: float
) -> Iterator[str]:
    """What is wrong, a sentence each, the worst first."""
    held = status.get("consensus")
    said = [(i["valid-after"], why) for i in status["instants"] for why in i.get("problems", [])]
    if held is not None and now >= held["valid-until"]:
        ended = to_text(held["valid-until"])
        yield (
            f"There is no valid consensus since {ended}: look at the other authorities, and at the"
            " connection to them."
        )
    elif held is not None and now >= held["valid-after"] + 1.5 * interval:
        missed = to_text(held["valid-after"])
        yield f"There was no consensus after that of {missed}: look at the other authorities."
    elif held is None and said:
        yield "There is no consensus yet: see that most authorities run and reach each other."
    for after, why in said:
        yield f"This authority has no full part in the consensus of {to_text(after)}: {why}."
    since = now - 2 * interval if held is None else held["valid-after"]
    for who, told in status["authorities"].items():
        identity = bytes.fromhex(who)
        latest = [each for each in told["misdeeds"] if each["valid-after"] >= since]
        for each in latest[-1:]:
            yield _accusation(each, name(identity), mine=identity == me)


def _accusation(told: Mapping[str, Any], nickname: str, *, mine: bool) -> str:
    did, at = DID.get(told["what"], told["what"]), to_text(told["valid-after"])
    detail = f" ({told['detail']})" if told.get("detail") else ""
    if mine:
        remedy = (
            "set this machine's clock"
            if told["what"] == "clock"
            else "see whether this machine was cut off, overloaded, or has a wrong clock"
        )
        return f"This authority {did} for {at}{detail}: {remedy}."
    return f"The authority {nickname} {did} for {at}{detail}: tell its operator."
