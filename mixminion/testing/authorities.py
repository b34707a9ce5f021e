"""Directory authorities on this machine: real processes, plain HTTP on loopback.

::

    authorities = LocalAuthorities(folder)
    authorities.make()
    authorities.start()
    authorities.lines()  # what goes under [Directory] authorities of servers and clients

``python -m mixminion.testing.authorities FOLDER`` makes three and leaves them running; with
``--stop`` it ends them.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixminion.app.usual import AUTHORITY_FILE
from mixminion.control.client import ask
from mixminion.directory.receipt import Receipt
from mixminion.disk import lock, private
from mixminion.testing.commands import NetworkError, free_port, mixminion, wait_until

PREFIX = "/mixminion/2/"


@dataclass(frozen=True, slots=True)
class LocalAuthority:
    """One authority."""

    number: int
    home: Path
    port: int

    @property
    def nickname(self) -> str:
        """``authority1``, ``authority2``, ..."""
        return f"authority{self.number}"

    @property
    def host(self) -> str:
        """Where it listens."""
        return f"127.0.{self.number}.1"

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://{self.host}:{self.port}/"

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.home / AUTHORITY_FILE

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""
        return lock.holder(self.home)

    def ask(self, command: str = "status", **arguments: Any) -> dict[str, Any]:
        """An answer over its control socket."""
        return ask(self.home / "control", command, **arguments)

    def run(self, command: str, *arguments: str | Path) -> str:
        """``mixminion authority ...`` for it; what it printed."""
        return mixminion("authority", command, *arguments, "--home", self.home)

    def approve(self, name: str) -> None:
        """Let a server in."""
        self.ask("decide", name=name, decision="approved", exit=False, note="")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.run("start")

    def stop(self) -> None:
        """Stop it, and wait until it is gone."""
        self.run("stop")

    def kill(self) -> None:
        """End it as a power cut would end it, but for the disk's cache."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: self.pid is None, 10.0, f"{self.nickname} survived SIGKILL")

    def get(self, name: str) -> bytes | None:
        """A document over HTTP; None where it is not there."""
        code, octets = self.request("GET", name)
        return octets if code == 200 else None

    def post(self, name: str, octets: bytes) -> tuple[int, bytes]:
        """Send something over HTTP; the answer's code and body."""
        return self.request("POST", name, octets)

    def request(self, method: str, name: str, octets: bytes | None = None) -> tuple[int, bytes]:
        """One request; the answer's code and body."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            connection.request(method, PREFIX + name, octets)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


class LocalAuthorities:
    """*count* authorities, each with a home of its own under *folder*; *network* are further
    lines of their ``[Network]``, *admission* of their ``[Admission]``."""

    def __init__(
        self,
        folder: Path,
        count: int = 3,
        network: Sequence[str] = (),
        admission: Sequence[str] = (),
    ) -> None:
        port = free_port([f"127.0.{n}.1" for n in range(1, count + 1)])
        self.folder = folder.absolute()
        self._more = {"Network": network, "Admission": admission}
        self.all = [
            LocalAuthority(n, self.folder / f"authority{n}", port) for n in range(1, count + 1)
        ]

    def make(self) -> None:
        """Homes and keys; all know of each other."""
        if self.folder.exists() and any(self.folder.iterdir()):
            raise NetworkError(f"{self.folder} is not empty; name another folder")
        for each in self.all:
            self._init(each)
        lines = ",\n    ".join(self.lines())
        for each in self.all:
            text = each.config.read_text().replace("#authorities =", f"authorities =\n    {lines}")
            for section, more in self._more.items():
                title = f"[{section}]\n"
                text = text.replace(title, title + "".join(f"{line}\n" for line in more))
            private.write(each.config, text.encode())

    def _init(self, each: LocalAuthority) -> None:
        options: list[str | Path] = ["--nickname", each.nickname, "--url", each.url]
        options += ["--listen", f"{each.host}:{each.port}", "--test-network"]
        each.run("init", *options)

    def lines(self) -> list[str]:
        """A line for each: nickname, identity, address."""
        return [f"{each.nickname} {self.identity(each).hex()} {each.url}" for each in self.all]

    @staticmethod
    def identity(each: LocalAuthority) -> bytes:
        """Its raw identity key."""
        return bytes.fromhex((each.home / "keys" / "identity.pub").read_text())

    def start(self) -> None:
        """Start all."""
        for each in self.all:
            each.start()

    def stop(self) -> None:
        """Stop those that run."""
        for each in self.all:
            if each.pid is not None:
                each.stop()

    def publish(self, descriptor: bytes) -> list[str]:
        """Publish a descriptor at all; in which state it is at each."""
        states = []
        for each in self.all:
            _, octets = each.post("descriptor", descriptor)
            receipt = Receipt.verify(octets, self.identity(each), time.time())
            states.append(str(receipt.state))
        return states


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m mixminion.testing.authorities",
        description="Make and start directory authorities on this machine, or stop them.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--count", type=int, default=3, metavar="N", help="how many")
    parser.add_argument("--stop", action="store_true", help="stop those in FOLDER")
    chosen = parser.parse_args()
    authorities = LocalAuthorities(chosen.folder, chosen.count)
    try:
        if chosen.stop:
            authorities.stop()
            return
        authorities.make()
        authorities.start()
    except NetworkError as error:
        sys.exit(str(error))
    print(f"{chosen.count} authorities run under {authorities.folder}.  Try:\n")
    for each in authorities.all:
        print(f"  mixminion authority status --home {each.home}")
    print("\nFor servers and clients, under [Directory] authorities:\n")
    print("  " + ",\n  ".join(authorities.lines()))
    print(f"\nStop them with:  python -m mixminion.testing.authorities {chosen.folder} --stop")


if __name__ == "__main__":
    main()
