"""Method 1 once more, from the words of ``doc/spec/directory.rst`` alone: plain dicts as JSON gives
them, and the standard library."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

Value = dict[str, Any]

DEFAULTS = {
    "mean-delay-ms": 240_000,
    "delay-cap-ms": 2_400_000,
    "tick-ms": 100,
    "strategy": "poisson",
    "pool-interval": 900,
    "pool-minimum": 45,
    "pool-percent": 65,
    "hops": 4,
    "consensus-interval": 3_600,
    "consensus-fresh": 3_600,
    "consensus-valid": 10_800,
    "key-period": 604_800,
    "peer-queue-expiry": 86_400,
    "mmtp-window": 256,
    "fragments": 40,
    "mix-loops-per-hour": 75,
}
COPIED = {
    "identity": None,
    "nickname": None,
    "addresses": ("host", "port"),
    "protocols": None,
    "exits": ("max-message", "module", "name", "policy"),
    "accepts": ("allow", "network"),
    "dials": ("allow", "network"),
    "family": None,
    "jurisdiction": None,
    "software": None,
    "insecure": None,
}
"""Members of a server's entry, and the members of objects in them."""
REQUIRED = ("addresses", "protocols")
GEOMETRY = ("commands", "digest", "hops", "packet", "suite")


def canonical(value: object) -> bytes:
    """For values whose names are ASCII."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def digest(octets: bytes) -> str:
    return base64.b64encode(hashlib.sha256(octets).digest()).decode()


def known(value: Value, names: Iterable[str]) -> Value:
    """Without the members that nobody knows, and a policy that says nothing."""
    return {n: value[n] for n in names if n in value and (n, value[n]) != ("policy", {})}


def second(
    payloads: Iterable[bytes],
    n: int,
    descriptors: Mapping[str, Value],
    previous: bytes | None,
) -> tuple[bytes, dict[str, bytes]] | None:
    """Payload and key documents by their digests in base64, or None; *descriptors* are those that
    can be read, by the digests of their payloads in base64."""
    votes = sorted((json.loads(each) for each in payloads), key=lambda v: raw(v["authority"]))
    half = n / 2
    if len(votes) <= half:
        return None
    methods = {m for v in votes for m in v["methods"]}
    if not (known := [m for m in methods if sum(m in v["methods"] for v in votes) > half]):
        return None
    if max(known) != 1:
        return None
    result: Value = {"version": 1, "method": 1, "valid-after": votes[0]["valid-after"]}
    if sum(v.get("test-network", False) for v in votes) > half:
        result["test-network"] = True

    named = [v.get("previous") for v in votes]
    agreed = [each for each in {*named} if named.count(each) > half]
    if not agreed:
        result["gap"] = True
    elif agreed[0] is not None:
        result["previous"] = agreed[0]
    before = json.loads(previous) if previous and "previous" in result else None

    periods = key_periods(votes, half, before)
    if not periods:
        return None
    parameters = {}
    for name, default in DEFAULTS.items():
        values = sorted(v["parameters"].get(name, default) for v in votes)
        if isinstance(default, int):
            parameters[name] = values[(len(values) - 1) // 2]
        else:
            winners = [each for each in values if values.count(each) > half]
            parameters[name] = (
                winners[0] if winners else before["parameters"][name] if before else default
            )
    parameters["hops"] = min(parameters["hops"], *(p["geometry"]["hops"] for p in periods))
    result["parameters"] = parameters
    result["fresh-until"] = result["valid-after"] + parameters["consensus-fresh"]
    result["valid-until"] = result["valid-after"] + parameters["consensus-valid"]

    recommended = {}
    for kind in ("clients", "servers"):
        lists = [v.get("recommended", {}).get(kind, []) for v in votes]
        every = {each for some in lists for each in some}
        most = [each for each in every if sum(each in some for some in lists) > half]
        if most:
            recommended[kind] = sorted(most, key=lambda text: text.encode())[:32]
    if recommended:
        result["recommended"] = recommended

    if random := shared_random(votes, before):
        result["shared-random"] = random

    servers = candidates(votes, half, descriptors)
    keys = {}
    for period in periods:
        suite = period["geometry"]["suite"]
        document = canonical(
            {
                "version": 1,
                "period": period["number"],
                "suite": suite,
                "keys": [
                    {"identity": server["identity"], "key": key["key"]}
                    for server in servers
                    for key in descriptors[server["descriptor"]]["packet-keys"]
                    if key["period"] == period["number"] and key["suite"] == suite
                ],
            }
        )
        keys[digest(document)] = document
        period["keys"] = digest(document)
    result["key-periods"] = periods
    result["servers"] = servers
    return canonical(result), keys


def key_periods(votes: list[Value], half: float, before: Value | None) -> list[Value]:
    now = votes[0]["valid-after"]
    names = ("begins", "ends", "geometry", "number")
    every = [known(p, names) for v in votes for p in v["key-periods"]]
    for p in every:
        p["geometry"] = known(p["geometry"], GEOMETRY)
    counting = [p for p in every if every.count(p) > half]
    old = [
        {name: value for name, value in p.items() if name != "keys"}
        for p in (before["key-periods"] if before else [])
    ]
    chain = [p for p in (*counting, *old) if p["begins"] <= now < p["ends"]][:1]
    while 0 < len(chain) < 8:
        last = chain[-1]
        following = [p for p in (*counting, *old) if p["number"] == last["number"] + 1]
        if not following or following[0]["begins"] != last["ends"]:
            break
        if following[0]["geometry"]["packet"] != chain[0]["geometry"]["packet"]:
            break
        chain.append(following[0])
    return [dict(p) for p in chain]


def shared_random(votes: list[Value], before: Value | None) -> Value:
    found: Value = {}
    commitments = [
        {"authority": v["authority"], "commitment": v["commitment"]}
        for v in votes
        if "commitment" in v
    ]
    if commitments:
        found["commitments"] = commitments
    committed = (before or {}).get("shared-random", {}).get("commitments", [])
    octets = b""
    for v in votes:
        if "reveal" in v:
            mine = {"authority": v["authority"], "commitment": digest(raw(v["reveal"]))}
            if mine in committed:
                octets += raw(v["authority"]) + raw(v["reveal"])
    if octets:
        label = b"mixminion shared random 1" + votes[0]["valid-after"].to_bytes(8, "big")
        found["value"] = digest(label + octets)
    return found


def candidates(votes: list[Value], half: float, descriptors: Mapping[str, Value]) -> list[Value]:
    flags = {flag for v in votes for flag in v["flags-known"]}
    knowing = {flag: sum(flag in v["flags-known"] for v in votes) for flag in flags}
    matter = sorted(flag for flag, count in knowing.items() if count > half)[:32]
    found = []
    for identity in {s["identity"] for v in votes for s in v["servers"]}:
        voted = [
            s
            for v in votes
            for s in v["servers"]
            if s["identity"] == identity
            and descriptors.get(s["descriptor"], {}).get("identity") == identity
        ]
        if len(voted) <= half:
            continue
        names = [s["descriptor"] for s in voted]
        listed = max(names, key=lambda d: (names.count(d), descriptors[d]["published"], raw(d)))
        said = descriptors[listed]
        server = {
            name: [known(each, inside) for each in said[name]] if inside else said[name]
            for name, inside in COPIED.items()
            if said.get(name) or name in REQUIRED
        }
        server["descriptor"] = listed
        usable = sorted(s["usable-from"] for s in voted)
        server["usable-from"] = usable[(len(usable) - 1) // 2]
        has = [
            flag
            for flag in matter
            if sum(flag in s.get("flags", []) for s in voted) > knowing[flag] / 2
        ]
        if has:
            server["flags"] = has
        figures = sorted(s["reliability"] for s in voted if "reliability" in s)
        if len(figures) > half:
            server["reliability"] = figures[(len(figures) - 1) // 2]
        name = said["nickname"].lower()
        calls = sum(descriptors[d]["nickname"].lower() == name for d in names)
        found.append((name, -calls, server["usable-from"], raw(identity), server))
    found.sort(key=lambda each: each[:4])
    first = {each[0]: each[4] for each in reversed(found)}
    stay = sorted(first.values(), key=lambda s: raw(s["identity"]))
    while len(stay) > 20_000 or sum(len(canonical(s)) for s in stay) > 12_000_000:
        stay.remove(max(stay, key=lambda s: (len(canonical(s)), raw(s["identity"]))))
    return stay
