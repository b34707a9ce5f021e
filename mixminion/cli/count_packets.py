"""``mixminion count-packets``."""

from __future__ import annotations

import click

from mixminion import api
from mixminion.cli import given
from mixminion.cli.client import config_option, run, say, tell
from mixminion.cli.output import json_option, print_result


@click.command()
@click.option(
    "-t",
    "--to",
    metavar="ADDRESS",
    multiple=True,
    default=("somebody@example.org",),
    help="For whom, as with send.  [default: one mail address]",
)
@click.option("-s", "--subject", metavar="TEXT", help="The subject of the mail.")
@click.option(
    "-i",
    "--input",
    "source",
    metavar="FILE",
    default="-",
    help="The message; - is standard input, and what is read when there is no -i.",
)
@click.option("--message", "whole", is_flag=True, help="The input is a whole mail with its header.")
@click.option("--copies", metavar="N", type=click.IntRange(1, 10), default=1, help="As with send.")
@json_option
@config_option
def command(
    config: api.Config,
    to: tuple[str, ...],
    subject: str | None,
    source: str,
    whole: bool,
    copies: int,
    as_json: bool,
) -> None:
    """Say how many packets a message takes, and send nothing."""
    content = given.read(source)

    async def count(client: api.Client) -> api.Counted:
        return await client.count_packets(
            to, content, subject=subject, whole=whole, copies=copies, progress=tell
        )

    counted = run(config, count)
    line = f"{counted.packets:,} packet{'' if counted.packets == 1 else 's'}"
    if counted.packets > 1:
        line += f", of which {counted.needed:,} are enough"
    data = {
        "size": counted.size,
        "packets": counted.packets,
        "needed": counted.needed,
        "limit": counted.limit,
    }
    print_result(data, [line], as_json=as_json)
    if counted.packets > counted.limit:
        say(f"messages of this network take at most {counted.limit:,}: send wants --large")
