"""``python -m mixminion.testing.demo``: a network on this machine carries your words.

Makes a network in a temporary folder, lets its authorities agree on a directory, sends the text
in ``$MESSAGE`` with the ``mixminion`` command through four of its mixes, and prints the mail as
it arrived.  Everything is stopped and removed again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mixminion.testing.commands import PYTHON, NetworkError, wait_until
from mixminion.testing.directories import ByVote
from mixminion.testing.network import LocalNetwork

Say = Callable[[str], None]

MESSAGE = "Anonymity loves company."
RECIPIENT = "bob@example.test"
PATIENCE = 45.0
"""Seconds for the mail to arrive: four delays of half a second on average, five at most."""


def main() -> None:
    """The command."""
    text = os.environ.get("MESSAGE") or MESSAGE
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - began:5.1f} s] {what}", flush=True)

    with tempfile.TemporaryDirectory(prefix="mixminion-demo-") as name:
        folder = Path(name) / "network"
        directory = ByVote(folder / "authorities")
        network = LocalNetwork(folder, directory=directory)
        try:
            show(network, directory, text, say)
        except NetworkError as error:
            sys.exit(f"The demo failed: {error}")
        except KeyboardInterrupt:
            sys.exit(130)
        finally:
            network.stop()
            say("everything is stopped")


def show(network: LocalNetwork, directory: ByVote, text: str, say: Say) -> None:
    """The whole demonstration."""
    voters = directory.authorities.all
    say(f"making {len(voters)} directory authorities and {len(network.mixes)} mix servers")
    network.make()
    directory.start()
    for each in voters:
        say(f"{each.nickname} listens on {each.host}:{each.port}, process {each.pid}")
    network.start_relay()
    say(f"an SMTP server listens on {network.relay}")
    say("the authorities agree on a first directory, which lists nobody yet; one every 10 s")
    for mix in network.mixes:
        mix.start()
        role = "exit" if mix.exit else "mix"
        say(f"{mix.nickname} ({role}) listens on {mix.address}, process {mix.pid}")
    say("the authorities dial the servers back, let them in, and vote on the next directory")
    directory.complete(network.mixes)
    say("every server has a directory that lists them all")
    say("delays are short (0.5 s on average) and there are no loops: this hides nothing")
    send(network, text, say)
    wait_until(network.mails, PATIENCE, "the mail did not arrive")
    [mail] = network.mails()
    say("the mail as it arrived:")
    print()
    print(mail.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n"))


def send(network: LocalNetwork, text: str, say: Say) -> None:
    """The sender's command, with its own progress on the screen."""
    arguments = ["send", "--to", RECIPIENT, "--subject", "A first mail"]
    say("$ mixminion " + " ".join(arguments))
    command = [*PYTHON, "-m", "mixminion", "--config", str(network.client_config), *arguments]
    if subprocess.run(command, input=text.encode()).returncode:
        raise NetworkError("the mail was not sent")


if __name__ == "__main__":
    main()
