"""Starting and stopping daemons: what ``mixminion server`` and ``mixminion authority`` share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from mixminion.app import configuration
from mixminion.cli.errors import EndedWhileStarting, NoServer, NotReady, StillRunning
from mixminion.cli.waiting import wait_until
from mixminion.config.secret import Kind, SecretSource
from mixminion.control.client import ask
from mixminion.control.errors import NoAnswer, NotRunning, RemoteError
from mixminion.disk import lock, private
from mixminion.disk.errors import HomeInUse

DAEMON_ENDED = 1
"""How twistd ends when its daemon did so before it had begun."""


def start(
    daemon: str,
    plugin: str,
    path: Path,
    places: configuration.Places,
    source: SecretSource | None,
    *,
    foreground: bool,
    timeout: float,
) -> int | tuple[int, dict[str, Any]]:
    """Start the *daemon* (``server``, ``authority``) with the configuration *path*: twistd's
    exit code when that is not 0, or its process and its status once it works.

    In the *foreground* this does not return.  *source* is where it gets its passphrase.
    """
    home, control, log = places
    if (pid := lock.holder(home)) is not None:
        raise HomeInUse(home=home, pid=pid or "(unknown)")
    private.check_above(home)
    arguments = _twistd(plugin, path, home, foreground)
    if foreground:
        os.execv(arguments[0], arguments)
    code = subprocess.run(arguments, **_inherited(source)).returncode
    if code == DAEMON_ENDED:
        raise EndedWhileStarting(daemon=daemon, log=log)
    if code:
        return code

    def decided() -> bool:
        return _works(control) or lock.holder(home) is None

    if not wait_until(decided, timeout):
        raise NotReady(daemon=daemon, pid=lock.holder(home), seconds=timeout, log=log)
    if (pid := lock.holder(home)) is None:
        raise EndedWhileStarting(daemon=daemon, log=log)
    return pid, ask(control, "status")


def stop(daemon: str, places: configuration.Places, timeout: float) -> None:
    """Stop it, and wait until it has ended."""
    home, control, _ = places
    pid = lock.holder(home)
    if pid is None:
        raise NoServer(daemon=daemon, home=home)
    try:
        ask(control, "stop", timeout=timeout)
    except (NotRunning, NoAnswer):
        if pid:  # the holder of the lock is the daemon, whoever answers
            os.kill(pid, signal.SIGTERM)
    if not wait_until(lambda: lock.holder(home) is None, timeout):
        raise StillRunning(daemon=daemon, pid=pid, seconds=timeout)


def _twistd(plugin: str, path: Path, home: Path, foreground: bool) -> list[str]:
    # -P: no module from whatever folder this was called in
    python = [sys.executable, "-P", "-c", "from twisted.scripts.twistd import run; run()"]
    # No pid file: the lock names the process, and needs no room that a full disk does not have.
    twistd = ["--rundir", str(home), "--pidfile=", "--umask", "077"]
    stay = ["--nodaemon"] if foreground else []
    return [*python, *twistd, *stay, plugin, "--config", str(path)]


def _inherited(source: SecretSource | None) -> dict[str, Any]:
    """What the daemon gets of ours: the descriptor with its passphrase, if that is where."""
    number = source.number if source and source.kind is Kind.DESCRIPTOR else None
    stdin = None if number == 0 else subprocess.DEVNULL
    return {"stdin": stdin, "pass_fds": [number] if number else []}


def _works(control: Path) -> bool:
    try:
        return bool(ask(control, "status", timeout=5.0)["ready"])
    except (NotRunning, NoAnswer):
        return False
    except RemoteError:  # it answers; `status` tells what
        return True
