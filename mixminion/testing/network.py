"""A whole network on this machine: real processes and real TLS.

``python -m mixminion.testing.network FOLDER`` makes one, with directory authorities, and
leaves it running; with ``--stop`` it ends it.  Each mix has a home of its own under FOLDER
and listens on 127.1.0.1, 127.2.0.1, ..., so that paths take them for different networks; mail
arrives at an SMTP server that writes each into a file of ``FOLDER/mail``.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mixminion.app.usual import FILE
from mixminion.control.client import ask
from mixminion.directory import bootstrap
from mixminion.directory.bootstrap import Bootstrap
from mixminion.directory.parameters import Parameters
from mixminion.disk import lock, private
from mixminion.testing.commands import (
    PYTHON,
    NetworkError,
    answers,
    free_port,
    mixminion,
    wait_until,
)
from mixminion.testing.directories import ByHand, ByVote, Directory

MIXES = 5
EXITS = 2  #: how many of the mixes, counted from the last, hand mail over
DOMAIN = "mix.example.test"
NO_LIMITS = tuple(f"{each}-limit =" for each in ("recipient", "domain", "message", "bandwidth"))
"""Lines of a mail exit's section: tests send to one recipient what they like."""


@dataclass(frozen=True, slots=True)
class Mix:
    """One mix server of the network."""

    number: int
    home: Path
    port: int
    exit: bool

    @property
    def nickname(self) -> str:
        """``mix1``, ``mix2``, ..."""
        return f"mix{self.number}"

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.{self.number}.0.1:{self.port}"

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.home / FILE

    @property
    def descriptor(self) -> bytes:
        """What it says of itself, signed."""
        return private.read(self.home / "descriptor")

    @property
    def pid(self) -> int | None:
        """Its network process, while it runs."""
        return lock.holder(self.home)

    def ask(self, command: str) -> dict[str, Any]:
        """An answer over its control socket."""
        return ask(self.home / "control", command)

    def start(self) -> None:
        """Start it, as its operator would, and wait until it answers."""
        mixminion("server", "start", "--home", self.home)

    def stop(self) -> None:
        """Stop it, as its operator would, and wait until it is gone."""
        mixminion("server", "stop", "--home", self.home)

    def kill(self) -> None:
        """End it as a power cut would end it, but for the disk's cache."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: self.pid is None, 10.0, f"{self.nickname} survived SIGKILL")


class LocalNetwork:
    """Mix servers, an SMTP server and a client's configuration, all under *folder*; the directory
    is signed by hand, with *parameters*, or comes from *directory*."""

    def __init__(
        self,
        folder: Path,
        mixes: int = MIXES,
        workers: int = 1,
        parameters: Parameters | None = None,
        exit_lines: Sequence[str] = (),
        directory: Directory | None = None,
        sources: Sequence[str] = (),
        *,
        mailboxes: bool = False,
    ) -> None:
        """*exit_lines* go into the mail exits' section, after what ``server init`` wrote;
        *sources* are where the mixes fetch the directory, besides from each other.  With
        *mailboxes* the exits hold messages, too."""
        self.folder = folder.absolute()
        self.mail = self.folder / "mail"
        self.client_config = self.folder / "client" / "mixminion.conf"
        self.bootstrap = self.folder / "network.conf"
        self._workers = workers
        self._exit_lines = exit_lines
        self._mailboxes = mailboxes
        self._sources = sources
        self.directory = directory or ByHand(parameters)
        port = free_port([f"127.{n}.0.1" for n in range(mixes + 1)])
        self.relay = f"127.0.0.1:{port}"
        self.mixes = [
            Mix(n, self.folder / f"mix{n}", port, exit=n > mixes - EXITS)
            for n in range(1, mixes + 1)
        ]

    # -- making it ---------------------------------------------------------------------------

    def make(self) -> None:
        """Homes, keys, the client's configuration, and a bootstrap file for other clients."""
        if self.folder.exists() and any(self.folder.iterdir()):
            raise NetworkError(
                f"{self.folder} is not empty; name another folder, or stop what runs there "
                f"(--stop) and remove it"
            )
        private.make_folder(self.folder)
        self.directory.make()
        for mix in self.mixes:
            self._init(mix)
        self.directory.add(self.mixes)
        private.make_folder(self.client_config.parent)
        private.write(self.client_config, self._client().encode())
        private.write(self.bootstrap, self._bootstrap().text().encode())

    def describe_again(self) -> None:
        """Have the exits publish what *exit_lines* say, which were written after their descriptors;
        for a directory that is signed by hand, before anything is started."""
        for mix in self.mixes:
            if mix.exit:
                mix.start()
                mix.stop()
        self.directory.add(self.mixes)

    def _init(self, mix: Mix) -> None:
        options: list[str | Path] = ["--home", mix.home, "--nickname", mix.nickname]
        options += ["--address", mix.address, "--listen", mix.address, "--test-network"]
        options += ["--workers", str(self._workers), "--store-limit", "512 MiB", "--exit-drop"]
        for line in self.directory.lines:
            options += ["--authority", line]
        for source in self._sources:
            options += ["--source", source]
        if mix.exit:
            options += ["--exit-smtp-relay", self.relay, "--exit-smtp-domain", DOMAIN]
            options += ["--contact", f"{mix.nickname}@example.test"]
        if mix.exit and self._mailboxes:
            options.append("--exit-mailbox")
        mixminion("server", "init", *options)
        if mix.exit:
            title = "[Exit smtp]\n"
            lines = title + "".join(line + "\n" for line in (*NO_LIMITS, *self._exit_lines))
            private.write(mix.config, mix.config.read_text().replace(title, lines).encode())

    def _client(self) -> str:
        authorities = ",\n    ".join(self.directory.lines)
        sources = ", ".join(mix.address for mix in self.mixes)
        return f"[Client]\n\n[Directory]\nauthorities = {authorities}\nsources = {sources}\n"

    def _bootstrap(self) -> Bootstrap:
        named = []
        for number, line in enumerate(self.directory.lines, start=1):
            found = bootstrap.authority.read(line)
            named.append(replace(found, nickname=found.nickname or f"authority{number}"))
        places = tuple(f"https://{mix.address}/" for mix in self.mixes)
        return Bootstrap("local", tuple(named), places)

    # -- running it --------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything."""
        self.directory.start()
        self.start_relay()
        self.start_mixes()
        self.directory.complete(self.mixes)

    def start_mixes(self) -> None:
        """Start every mix."""
        for mix in self.mixes:
            mix.start()

    def start_relay(self) -> None:
        """Start the SMTP server."""
        private.make_folder(self.mail)
        log = self.folder / "smtp.log"
        with open(log, "ab") as output:
            process = subprocess.Popen(
                [*PYTHON, "-m", "mixminion.testing.smtp"]
                + ["--listen", self.relay, "--folder", str(self.mail)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        private.write(self._pidfile, b"%d" % process.pid)
        wait_until(
            lambda: process.poll() is not None or answers(self.relay),
            20.0,
            f"the SMTP server does not answer; see {log}",
        )
        if process.poll() is not None:
            raise NetworkError(f"the SMTP server did not start; see {log}")

    def stop(self) -> None:
        """Stop whatever of it runs."""
        for mix in self.mixes:
            if mix.pid is not None:
                mix.stop()
        self.directory.stop()
        self.stop_relay()

    def stop_relay(self) -> None:
        """Stop the SMTP server."""
        try:
            pid = int(private.read(self._pidfile))
            self._pidfile.unlink()
            os.kill(pid, signal.SIGTERM)
        except (FileNotFoundError, ProcessLookupError):
            return

    @property
    def _pidfile(self) -> Path:
        return self.folder / "smtp.pid"

    # -- using it ----------------------------------------------------------------------------

    def mixminion(self, *arguments: str | Path, text: str = "") -> str:
        """Run a client's command with this network's configuration; what it printed."""
        return mixminion("--config", self.client_config, *arguments, text=text)

    def mails(self) -> list[Path]:
        """The files of the mail that has arrived."""
        return sorted(path for path in (self.mail / "new").iterdir())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m mixminion.testing.network",
        description="Make and start a network of mix servers on this machine, or stop it.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--mixes", type=int, default=MIXES, metavar="N", help="how many mixes")
    parser.add_argument("--stop", action="store_true", help="stop the one in FOLDER")
    chosen = parser.parse_args()
    if chosen.mixes < 4:
        parser.error("a path has four hops: a network needs four mixes or more")
    directory = ByVote(chosen.folder / "authorities")
    network = LocalNetwork(chosen.folder, chosen.mixes, directory=directory, mailboxes=True)
    try:
        if chosen.stop:
            network.stop()
            return
        network.make()
        network.start()
    except NetworkError as error:
        sys.exit(str(error))
    program = shutil.which("mixminion") or str(Path(sys.executable).with_name("mixminion"))
    program = shlex.quote(program)
    command = f"{program} --config {shlex.quote(str(network.client_config))}"
    joined = shlex.quote(str(network.bootstrap))
    voters = directory.authorities.all
    print(f"{len(voters)} authorities and {len(network.mixes)} mixes run under {network.folder}.")
    print("The directory is made anew every ten seconds, so that one fetched half a minute ago has")
    print("expired: commands say so, and `update` fetches the next one.  Try:\n")
    print(f"  {command} list-servers")
    print(f"  echo Hello | {command} send -t bob@example.test -s Greetings")
    print(f"  ls {shlex.quote(str(network.mail / 'new'))}      # where mail arrives")
    print(f"  {command} directory show")
    print(f"  {program} server status --home {shlex.quote(str(network.mixes[0].home))}")
    print(f"  {program} authority status --home {shlex.quote(str(voters[0].home))}\n")
    print(f"Other people join it with:  {program} join {joined}")
    stop = [sys.executable, "-m", "mixminion.testing.network", str(network.folder), "--stop"]
    print(f"Stop it with:  {shlex.join(stop)}")


if __name__ == "__main__":
    main()
