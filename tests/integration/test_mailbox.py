"""Mailboxes with real processes: what was sent is what is fetched, whatever was killed."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from pathlib import Path
from typing import Any

from mixminion.testing.cases import SyncTestCase
from mixminion.testing.commands import wait_until
from mixminion.testing.network import LocalNetwork

SECONDS = 60.0


class MailboxTests(SyncTestCase):
    """Four mixes, the last two of which hold messages."""

    def setUp(self) -> None:
        self.network = LocalNetwork(Path(self.mktemp()), 4, mailboxes=True)
        self.network.make()
        self.addCleanup(self.network.stop)
        self.network.start_mixes()

    def fetch(self, *options: str | Path) -> Any:
        return json.loads(self.network.mixminion("mailbox", "fetch", "--json", *options))

    def held(self) -> int:
        held: int = self.network.mixes[3].ask("status")["packets"]["held"]
        return held

    def test_killed_and_fetched(self) -> None:
        """Messages of three sizes, the exit killed while it holds them; then all are fetched, octet
        for octet, once, and nothing tells whose they were."""
        network, exit = self.network, self.network.mixes[3]
        network.mixminion("update")
        made = json.loads(network.mixminion("mailbox", "create", "mix4", "--json"))
        address = made["address"]
        self.assertEqual(made["number"], 1)
        self.assertIn(address, network.mixminion("mailbox", "list"))
        self.assertEqual(self.fetch(), {"held": 0, "messages": []})
        sent = [b"Hello\n", os.urandom(20_000), bytes(range(256)) * 200]
        for number, content in enumerate(sent):
            file = network.folder / f"message{number}"
            file.write_bytes(content)
            network.mixminion("send", "-t", address, "-i", file)
        wait_until(lambda: self.held() == 3, SECONDS, "the messages did not arrive")
        exit.kill()
        exit.start()
        wait_until(lambda: self.held() == 3, SECONDS, "the messages are not held any more")

        other = network.mixminion("mailbox", "create", "mix4")
        self.assertNotIn(address, other)
        self.assertEqual(self.fetch("2"), {"held": 0, "messages": []})

        first = self.fetch("--frames", "1")
        self.assertEqual(len(first["messages"]) + first["held"], 3)
        exit.kill()
        exit.start()
        folder = network.folder / "inbox"
        rest = self.fetch("--frames", "8", "-o", folder)
        self.assertEqual(rest["held"], 0)
        found = [b64decode(each["content"]) for each in first["messages"]]
        found += [Path(each["file"]).read_bytes() for each in rest["messages"]]
        self.assertEqual(sorted(found), sorted(sent))
        self.assertEqual(
            [path.stat().st_mode & 0o777 for path in folder.iterdir()],
            [0o600] * len(rest["messages"]),
        )
        self.assertEqual(self.fetch(), {"held": 0, "messages": []})
        self.assertEqual(self.held(), 0)
        network.stop()
        self.assert_nowhere(address.partition(":")[2].partition("@")[0].encode())

    def assert_nowhere(self, capability: bytes) -> None:
        """No file of any server has the capability, as text or as octets."""
        octets = b64decode(capability + b"=", altchars=b"-_")
        looked = 0
        for mix in self.network.mixes:
            for path in mix.home.rglob("*"):
                if path.is_file():
                    content = path.read_bytes()
                    looked += 1
                    for form in (capability, octets, octets.hex().encode()):
                        self.assertNotIn(form, content, path.name)
        self.assertGreater(looked, 20)
