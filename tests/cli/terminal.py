"""A command on a terminal, where somebody answers its questions."""

from __future__ import annotations

import os
import pty
import select
import time
from collections.abc import Mapping, Sequence

SECONDS = 60.0


def ask(
    words: Sequence[str],
    answers: Sequence[str],
    environment: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
) -> tuple[int, str]:
    """The exit code of the command line *words*, and what it showed; each question, which ends
    with a colon, is answered."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(words[0], list(words), dict(os.environ if environment is None else environment))
    shown, left, end = "", list(answers), time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                octets = os.read(terminal, 4096)
            except OSError:
                break
            if not octets:
                break
            shown += octets.decode()
        if left and shown.count(": ") > len(answers) - len(left):
            os.write(terminal, left.pop(0).encode() + b"\n")
            shown += "\n"
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown
