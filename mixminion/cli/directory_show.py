"""``mixminion directory show``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import click

from mixminion import api
from mixminion.cli import standings
from mixminion.cli.client import config_option, run
from mixminion.cli.output import json_option, print_result, table
from mixminion.directory.consensus import USABLE, Consensus
from mixminion.directory.parameters import Parameters
from mixminion.directory.plain import plain
from mixminion.util import times

_AGES = {
    "early": "not valid yet: check this machine's clock",
    "fresh": "fresh",
    "valid": "valid",
    "overdue": "expired; used for a day after that",
    "ended": "expired, and not used any more",
}
_CHAINS = {
    "first": "none: the network's first",
    "gap": "none: the authorities did not agree on one",
    "held": "held",
    "not-held": "not held",
    "broken": "NOT the one of that time that is held",
}


@click.command()
@json_option
@config_option
def command(config: api.Config, as_json: bool) -> None:
    """Show the directory that is held: dates, signatures, parameters, and evidence against
    authorities.  Nothing is fetched."""

    async def report(client: api.Client) -> api.DirectoryReport:
        return await client.directory()

    found = run(config, report)
    print_result(_data(found), _lines(found), as_json=as_json)


def _data(report: api.DirectoryReport) -> dict[str, Any]:
    return {
        "held": [_held_data(each) for each in report.held],
        "parameters": {
            name: {"value": value, "usual": usual}
            for name, value, usual in _parameters(report.held[0].consensus)
        },
        "evidence": [
            {
                "valid-after": times.to_text(each.valid_after),
                "digests": [digest.hex() for digest in each.digests],
                "offenders": [
                    {"nickname": authority.nickname, "identity": authority.identity.hex()}
                    for authority in each.offenders
                ],
                "files": [str(path) for path in each.files],
            }
            for each in report.evidence
        ],
        "next-fetch": None if report.next_fetch is None else times.to_text(report.next_fetch),
        "warnings": [{"code": each.code, "sentence": each.sentence} for each in report.warnings],
    }


def _held_data(held: api.HeldConsensus) -> dict[str, Any]:
    consensus = held.consensus
    recommended = consensus.recommended
    return {
        "valid-after": times.to_text(consensus.valid_after),
        "fresh-until": times.to_text(consensus.fresh_until),
        "valid-until": times.to_text(consensus.valid_until),
        "age": str(held.age),
        "digest": held.digest.hex(),
        "previous": None if consensus.previous is None else consensus.previous.hex(),
        "chain": str(held.chain),
        "method": consensus.method,
        "test-network": consensus.test_network,
        "servers": len(consensus.servers),
        "usable": _usable(consensus),
        "key-periods": [plain(period) for period in consensus.key_periods],
        "recommended": None if recommended is None else plain(recommended),
        "signatures": standings.data(held.standings),
    }


def _usable(consensus: Consensus) -> int:
    return sum(1 for server in consensus.servers if USABLE in server.flags)


def _parameters(consensus: Consensus) -> Iterator[tuple[str, Any, Any]]:
    """Name, value, and what is usual."""
    usual = plain(Parameters.default())
    for name, value in plain(consensus.parameters).items():
        yield name, value, usual[name]


def _lines(report: api.DirectoryReport) -> Iterator[str]:
    for number, held in enumerate(report.held):
        yield from _held_lines(held, "used" if number == 0 else "kept")
        yield ""
    yield "Parameters"
    yield from _indented(
        table(
            (name, str(value), "" if value == usual else f"usually {usual}")
            for name, value, usual in _parameters(report.held[0].consensus)
        )
    )
    for twice in report.evidence:
        yield ""
        yield from _evidence_lines(twice)
    yield ""
    if report.next_fetch is not None:
        yield f"The next fetch is due at {times.to_text(report.next_fetch)}."
    for warning in report.warnings:
        yield f"Warning: {warning}"


def _held_lines(held: api.HeldConsensus, role: str) -> Iterator[str]:
    consensus = held.consensus
    yield f"Directory of {times.to_text(consensus.valid_after)}, {role}"
    previous = _CHAINS[held.chain]
    if consensus.previous is not None:
        previous = f"{consensus.previous.hex()}, {previous}"
    rows = [
        ("fresh until", times.to_text(consensus.fresh_until)),
        ("valid until", f"{times.to_text(consensus.valid_until)}, {_AGES[held.age]}"),
        ("digest", held.digest.hex()),
        ("previous", previous),
        ("method", str(consensus.method)),
        ("servers", f"{len(consensus.servers)}, {_usable(consensus)} usable"),
    ]
    if consensus.recommended is not None:
        for who, versions in plain(consensus.recommended).items():
            rows.append((f"recommended {who}", ", ".join(versions)))
    rows.append(("signatures", standings.summary(held.standings)))
    yield from _indented(table(rows))
    yield from _indented(_indented(standings.rows(held.standings)))


def _evidence_lines(twice: api.SignedTwice) -> Iterator[str]:
    yield f"Two directories were signed for {times.to_text(twice.valid_after)}:"
    yield from (f"  {path}" for path in twice.files)
    names = ", ".join(each.nickname or each.identity.hex() for each in twice.offenders)
    if names:
        yield f"Both are signed by: {names}."
    yield "Send both files to the network's operators, then remove them."


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
