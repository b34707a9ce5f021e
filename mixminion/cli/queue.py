"""``mixminion queue``: messages that are kept because they were not handed over."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mixminion import api
from mixminion.cli import owner
from mixminion.cli.client import config_option, run, say, tell
from mixminion.cli.output import json_option, print_result
from mixminion.client.errors import BadInput
from mixminion.errors import EX_TEMPFAIL
from mixminion.util import times

numbers = click.argument("numbers", nargs=-1, type=click.IntRange(min=1))


@dataclass
class _Large:
    """What is kept of a message in several packets."""

    number: int
    hour: int
    packets: int = 0
    blocks: int = 0  #: that are yet to become packets

    @classmethod
    def of(cls, kept: Iterable[api.Waiting], unbuilt: Iterable[api.Unbuilt]) -> list[_Large]:
        """All of them, oldest first."""
        found: dict[int, _Large] = {}
        for each in kept:
            if each.part_of is not None:
                found.setdefault(each.part_of, cls(each.part_of, each.hour)).packets += 1
        for message in unbuilt:
            found.setdefault(message.id, cls(message.id, message.hour)).blocks = message.blocks
        return [found[number] for number in sorted(found)]

    def line(self) -> str:
        packets = f"{self.packets} packet{'' if self.packets == 1 else 's'} of a large message"
        rest = f", and {self.blocks} part{'' if self.blocks == 1 else 's'} that are not packets yet"
        since = times.to_text(self.hour)
        return f"{self.number}: since {since}, {packets}{rest if self.blocks else ''}"

    def data(self) -> Mapping[str, Any]:
        return {
            "number": self.number,
            "since": times.to_text(self.hour),
            "packets": self.packets,
            "unbuilt": self.blocks,
        }


@click.group()
def command() -> None:
    """Messages that were not sent yet, but are kept."""


@command.command("list")
@json_option
@config_option
def list_kept(config: api.Config, as_json: bool) -> None:
    """Show what is kept."""

    async def waiting(client: api.Client) -> tuple[list[api.Waiting], list[api.Unbuilt]]:
        return await client.waiting(), await client.unbuilt()

    kept, unbuilt = run(config, waiting)
    single = [each for each in kept if each.part_of is None]
    large = _Large.of(kept, unbuilt)
    lines = [f"{each.id}: since {times.to_text(each.hour)}, {_state(each)}" for each in single]
    lines += [each.line() for each in large]
    data: list[Mapping[str, Any]] = [
        {
            "number": each.id,
            "since": times.to_text(each.hour),
            "handed": each.handed,
            **({"carried": True} if each.carried else {}),
        }
        for each in single
    ]
    data += [each.data() for each in large]
    print_result(data, lines or ["Nothing is kept."], as_json=as_json)


def _state(kept: api.Waiting) -> str:
    if kept.carried:
        return "given to a file that was perhaps not written; `mixminion queue export` writes one"
    return "handed over once, without an answer" if kept.handed else "never handed over"


@command.command()
@numbers
@json_option
@config_option
def flush(config: api.Config, numbers: tuple[int, ...], as_json: bool) -> int:
    """Try again to hand over what is kept, or of that only these NUMBERS.

    Where an agent runs, wait until it has.
    """

    async def flush_all(client: api.Client) -> api.Flushed:
        return await client.flush(numbers, progress=tell)

    if owner.runs(config):
        say("the agent sends it at moments of its own")
        handed, left = owner.follow(config, list(numbers))
        kept = {id: (why["code"], why["sentence"]) for id, why in left.items()}
    else:
        flushed = run(config, flush_all)
        handed = list(flushed.handed)
        kept = {id: (error.code, api.render(error)) for id, error in flushed.kept.items()}
    for sentence, n in Counter(sentence for _, sentence in kept.values()).items():
        say(f"{n} x {sentence}" if n > 1 else sentence, always=True)
    data: Mapping[str, Any] = {
        "handed": handed,
        "kept": {str(id): code for id, (code, _) in kept.items()},
    }
    summary = f"{len(handed)} handed over, {len(kept)} still kept"
    print_result(data, [summary], as_json=as_json, confirms=True)
    return EX_TEMPFAIL if kept else 0


@command.command()
@numbers
@click.option("--all", "everything", is_flag=True, help="Delete everything that is kept.")
@json_option
@config_option
def clean(config: api.Config, numbers: tuple[int, ...], everything: bool, as_json: bool) -> None:
    """Delete messages that no server would take any more, or these NUMBERS.

    What is deleted is not sent, unless it was handed over before.
    """

    async def delete(client: api.Client) -> int:
        if everything:
            kept = [each.id for each in await client.waiting()]
            return await client.discard(kept + [each.id for each in await client.unbuilt()])
        if numbers:
            return await client.discard(numbers)
        return await client.discard(each.id for each in await client.expired())

    deleted = run(config, delete)
    print_result({"deleted": deleted}, [f"{deleted} deleted"], as_json=as_json, confirms=True)


@command.command()
@numbers
@click.option(
    "-o",
    "--output",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="The file, which must not be there yet.",
)
@json_option
@config_option
def export(config: api.Config, numbers: tuple[int, ...], path: Path, as_json: bool) -> None:
    """Write what is kept, or of that only these NUMBERS, to a file, for another machine to send.

    It is not kept here any more then.  `mixminion queue import` reads the file.
    """

    async def write(client: api.Client) -> int:
        return await client.export(path.absolute(), numbers)

    written = run(config, write)
    line = f"{written} packet{'' if written == 1 else 's'} written to {path}"
    print_result({"packets": written, "file": str(path)}, [line], as_json=as_json, confirms=True)


@command.command("import")
@click.option("-i", "--input", "source", metavar="FILE", required=True, help="The file.")
@json_option
@config_option
def bring(config: api.Config, source: str, as_json: bool) -> None:
    """Keep the packets of a file that another machine wrote, to be sent by `mixminion queue flush`.

    What came before is not kept again.
    """
    try:
        octets = Path(source).read_bytes()
    except OSError as error:
        raise BadInput(name=source, why=os.strerror(error.errno or 0)) from None

    async def keep(client: api.Client) -> list[int]:
        return await client.bring(octets, progress=tell)

    kept = run(config, keep)
    line = f"{len(kept)} kept: `mixminion queue flush` sends them" if kept else "nothing new in it"
    print_result({"numbers": kept}, [line], as_json=as_json, confirms=True)
