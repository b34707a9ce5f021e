"""``mixminion ping``."""

from __future__ import annotations

from typing import Any

import click

from mixminion import api
from mixminion.cli import completing
from mixminion.cli.client import config_option, run, say, tell
from mixminion.cli.output import json_option, print_result, table
from mixminion.errors import EX_UNAVAILABLE

NOTICE = (
    "note: a ping is not anonymous: {server}, and whoever watches your line, sees that you asked."
)


@click.command()
@click.argument("server", shell_complete=completing.servers)
@json_option
@config_option
@click.pass_context
def command(context: click.Context, config: api.Config, server: str, as_json: bool) -> None:
    """Ask whether a server answers at each of its addresses, with its identity and as MMTP.

    SERVER is a nickname of the directory, or of a server that you imported.  Nothing is sent, and
    nothing of this is anonymous.  The exit code is 69 when no address answers.
    """
    say(NOTICE.format(server=server))

    async def ask(client: api.Client) -> list[api.Ping]:
        return await client.ping(server, progress=tell)

    found = run(config, ask)
    rows = ((str(each.place), _answer(each)) for each in found)
    data = {"server": server, "anonymous": False, "addresses": [_data(each) for each in found]}
    print_result(data, table(rows), as_json=as_json)
    if not any(each.error is None for each in found):
        context.exit(EX_UNAVAILABLE)


def _answer(ping: api.Ping) -> str:
    if ping.seconds is None:
        assert ping.error is not None
        why = ping.error.fields.get("problem", ping.error.code.replace("-", " "))
        return f"does not answer ({why})"
    return f"answers after {ping.seconds * 1000:.0f} ms"


def _data(ping: api.Ping) -> dict[str, Any]:
    milliseconds = None if ping.seconds is None else round(ping.seconds * 1000)
    return {
        "address": str(ping.place),
        "answers": ping.error is None,
        "milliseconds": milliseconds,
        "error": None if ping.error is None else ping.error.code,
    }
