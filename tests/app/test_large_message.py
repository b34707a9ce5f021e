"""A large message through real processes: from the command to a mail server, whole."""

import base64
import os
from pathlib import Path

from twisted.internet.threads import deferToThread

from mixminion.directory.parameters import Parameters
from mixminion.testing.cases import AsyncTestCase
from mixminion.testing.commands import mixminion, wait_until
from mixminion.testing.network import LocalNetwork, Mix

BOUNDARY = b"----a-boundary"
SIZE = 2_500_000
HEADER = (
    b"To: bob@example.org\r\nSubject: A picture\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="' + BOUNDARY[2:] + b'"\r\n'
)


def mail(size: int) -> tuple[bytes, bytes]:
    """A mail with an attachment of *size* octets, and its body."""
    attached = base64.encodebytes(os.urandom(size)).replace(b"\n", b"\r\n")
    body = b"\r\n".join(
        (
            BOUNDARY,
            b"Content-Type: text/plain; charset=us-ascii\r\n\r\nHere it is.",
            BOUNDARY,
            b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n",
            attached + BOUNDARY + b"--",
            b"",
        )
    )
    return HEADER + b"\r\n" + body, body


class LargeMessageTests(AsyncTestCase):
    """Three mixes, two of them exits, and an SMTP server, all processes of their own."""

    timeout = 240

    async def setUp(self) -> None:  # type: ignore[override]
        self.network = LocalNetwork(
            Path(self.mktemp()),
            mixes=3,
            parameters=Parameters(
                mean_delay_ms=100, delay_cap_ms=1000, tick_ms=10, mix_loops_per_hour=0, hops=2
            ),
            exit_lines=["max-message = 30 MiB"],
        )
        await deferToThread(self.network.make)
        self.addCleanup(deferToThread, self.network.stop)
        await deferToThread(self.network.describe_again)
        await deferToThread(self.network.start)

    async def test_arrives_once(self) -> None:
        """A mail of 3.4 MB: its exit is killed when half of it is there, again when the message
        is complete, and it arrives as it was, under one Message-ID."""
        whole, body = mail(SIZE)
        path = self.network.folder / "mail.eml"
        path.write_bytes(whole)
        exit = self.network.mixes[-1]
        sending = deferToThread(self._send, path, exit)
        await deferToThread(wait_until, lambda: _counted(exit, "pooled") > 20, 60.0, "nothing came")
        await deferToThread(exit.kill)
        await deferToThread(exit.start)
        self.assertRegex(await sending, r"goes in \d+ packets, of which \d+ are enough")
        await deferToThread(wait_until, self.network.mails, 120.0, "it did not arrive")
        await deferToThread(exit.kill)
        await deferToThread(exit.start)
        await deferToThread(
            wait_until, lambda: not _held(exit), 120.0, "there is something left of it"
        )
        arrived = [path.read_bytes() for path in self.network.mails()]
        self.assertTrue(all(each.endswith(b"\r\n\r\n" + body) for each in arrived))
        # Killed between the relay's answer and the mark, it may come again, under the same ID.
        ids = {
            line for each in arrived for line in each.splitlines() if line.startswith(b"Message-ID")
        }
        self.assertEqual(len(ids), 1)

    def _send(self, path: Path, exit: Mix) -> str:
        config = self.network.client_config
        options = ("--large", "--message", "-t", "bob@example.org", "-i", path)
        return mixminion("send", "-f", config, *options, "-P", f"?,{exit.nickname}")


def _counted(mix: Mix, name: str) -> int:
    return int(mix.ask("status")["counters"].get(name, 0))


def _held(mix: Mix) -> int:
    """Messages of which something is missing, or that are not away."""
    packets = mix.ask("status")["packets"]
    return int(packets["incomplete"] + sum(packets["exits"].values()) + packets["pool"])
