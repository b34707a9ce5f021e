"""``mixminion server start``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from mixminion.app import configuration
from mixminion.cli.errors import EndedWhileStarting, NotReady
from mixminion.cli.home import server_option
from mixminion.cli.waiting import wait_until
from mixminion.config.secret import Kind, SecretSource
from mixminion.control.client import ask
from mixminion.control.errors import NoAnswer, NotRunning, RemoteError
from mixminion.disk import lock, private
from mixminion.disk.errors import HomeInUse


@click.command()
@server_option
@click.option("--foreground", is_flag=True, help="Stay in the foreground; log to the screen.")
@click.option(
    "--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait for it."
)
def command(path: Path, foreground: bool, timeout: float) -> int:
    """Start the server, and wait until it works."""
    config = configuration.load(path)
    home, control, log = configuration.places(config)
    if (pid := lock.holder(home)) is not None:
        raise HomeInUse(home=home, pid=pid or "(unknown)")
    private.check_above(home)
    arguments = _twistd(path, home, foreground)
    if foreground:
        os.execv(arguments[0], arguments)
    inherited = _inherited(configuration.passphrase_source(config))
    code = subprocess.run(arguments, **inherited).returncode
    if code:
        return code

    def decided() -> bool:
        return _works(control) or lock.holder(home) is None

    if not wait_until(decided, timeout):
        raise NotReady(pid=lock.holder(home), seconds=timeout, log=log)
    if (pid := lock.holder(home)) is None:
        raise EndedWhileStarting(log=log)
    click.echo(f"The server runs, process {pid}.")
    for sentence in ask(control, "status").get("found", []):
        click.echo(sentence)
    return 0


def _twistd(path: Path, home: Path, foreground: bool) -> list[str]:
    # -P: no module from whatever folder this was called in
    python = [sys.executable, "-P", "-c", "from twisted.scripts.twistd import run; run()"]
    # No pid file: the lock names the process, and needs no room that a full disk does not have.
    twistd = ["--rundir", str(home), "--pidfile=", "--umask", "077"]
    stay = ["--nodaemon"] if foreground else []
    return [*python, *twistd, *stay, "mixminion", "--config", str(path)]


def _inherited(source: SecretSource | None) -> dict[str, Any]:
    """What the server gets of ours: the descriptor with its passphrase, if that is where."""
    number = source.number if source and source.kind is Kind.DESCRIPTOR else None
    stdin = None if number == 0 else subprocess.DEVNULL
    return {"stdin": stdin, "pass_fds": [number] if number else []}


def _works(control: Path) -> bool:
    try:
        return bool(ask(control, "status", timeout=5.0)["ready"])
    except (NotRunning, NoAnswer):
        return False
    except RemoteError:  # it answers; `server status` tells what
        return True
