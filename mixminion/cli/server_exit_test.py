"""``mixminion server exit test``."""

from __future__ import annotations

from pathlib import Path

import click

from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.running import ask_server
from mixminion.errors import EX_TEMPFAIL, EX_UNAVAILABLE

_SAID = {
    "delivered": "The far side has taken it",
    "temporary": "It was not taken now, and a later try may succeed",
    "unreachable": "The far side cannot be used now",
    "permanent": "The far side refuses it for good",
    "refused": "The exit itself refuses it",
}
_CODES = {"delivered": 0, "temporary": EX_TEMPFAIL, "unreachable": EX_TEMPFAIL}


@click.command()
@click.argument("address")
@click.option("--exit", "name", metavar="NAME", help="Which exit, where there are several.")
@click.option(
    "--timeout", type=float, default=120.0, show_default=True, help="Seconds to wait for it."
)
@server_option
@json_option
def command(path: Path, address: str, name: str | None, timeout: float, as_json: bool) -> int:
    """Send one mail to ADDRESS, in the way the exit's other mail goes, and show what the far side
    answered.

    It is tried once.  The exit's code for the answer is the last word, such as smtp-250.
    """
    answer = ask_server(path, "exit-test", address=address, exit=name, timeout=timeout)
    lines = [f"{_SAID[answer['outcome']]} ({answer['exit']}: {answer['reason']})."]
    print_result(answer, lines, as_json=as_json)
    return _CODES.get(answer["outcome"], EX_UNAVAILABLE)
