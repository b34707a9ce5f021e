"""A network in one call, and a conversation in it by the API alone."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from mixminion import api
from mixminion.testing import embedding
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.network import LocalNetwork
from tests.source import ROOT

EXAMPLE = ROOT / "contrib" / "embedding" / "conversation.py"
RUN = """
import sys
from twisted.internet import {reactor}
{reactor}.install()
sys.argv = sys.argv[1:]
exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"), {{"__name__": "__main__"}})
"""


class VirtualTests(SyncTestCase):
    def test_conversation(self) -> None:
        """Alice writes, Bob answers, Alice answers that; each waits for what comes."""
        with embedding.network(folder=Path(self.mktemp())) as net:
            alice, bob = net.client("alice"), net.client("bob")
            for client in (alice, bob):
                client.startService()
            box = net.result(bob.create_mailbox())
            to_alice, to_bob = (api.Incoming(each, net.clock, every=5) for each in (alice, bob))
            net.result(alice.send(box.address, b"Who are you?\n", reply_blocks=1))
            question = net.result(to_bob.when_next())
            self.assertIn(b"Who are you?", question.content)
            net.result(bob.reply(question.blocks, b"Bob.\n", reply_blocks=1))
            answer = net.result(to_alice.when_next())
            self.assertEqual((answer.kind, answer.content[:5]), (api.Kind.REPLY, b"Bob.\n"))
            net.result(alice.reply(answer.blocks, b"Good to know.\n"))
            last = net.result(to_bob.when_next())
            self.assertEqual(last.content, b"Good to know.\n")
            self.assertEqual(len(net.result(bob.inbox.unread())), 1)
            net.result(to_bob.stop())
            self.assertEqual(net.result(bob.inbox.unread()), [])
            net.result(to_alice.stop())

    def test_mail(self) -> None:
        """Mail arrives where a test can look at it, and the folder is gone afterwards."""
        with embedding.network() as net:
            folder = net.folder
            net.result(net.client().send("bob@example.org", b"Hello\n", subject="Hi"))
            net.clock.advance(60)
            [mail] = net.mails
            self.assertEqual(list(mail.recipients), ["bob@example.org"])
            self.assertTrue(mail.content.endswith(b"Hello\r\n"))
        self.assertFalse(folder.exists())


class ExampleTests(SyncTestCase):
    """The example, as it stands, on a network of processes."""

    def test_length(self) -> None:
        """Twenty lines of code at most."""
        tree = ast.parse(EXAMPLE.read_text())
        tree.body = tree.body[1:]  # without its docstring
        lines = {
            line
            for node in ast.walk(tree)
            if isinstance(node, ast.stmt)
            for line in range(node.lineno, (node.end_lineno or 0) + 1)
        }
        text = EXAMPLE.read_text().splitlines()
        self.assertLessEqual(len([n for n in lines if text[n - 1].strip()]), 20)

    def test_runs(self) -> None:
        """It sends, is answered and answers again, under every reactor that a program may have."""
        names = ["default", "asyncioreactor", "pollreactor", "selectreactor"]
        with embedding.processes(folder=Path(self.mktemp())) as net:
            words = net.mixminion("mailbox", "create").split()
            [box] = [word for word in words if word.startswith("mailbox:")]
            running = [
                self.begin(net.folder / each, net.client_config, each, box) for each in names
            ]
            try:
                self.answer_all(net, len(running))
                for process in running:
                    said, _ = process.communicate(timeout=120)
                    self.assertEqual(process.returncode, 0, said)
                    told = said.split()
                    self.assertIn("PathChosen", told)
                    self.assertEqual(told[-3:], ["Sent", "answered:", "Bob."])
            finally:
                for process in running:
                    process.kill()
                    process.wait()
            # what they answered
            thanks = self.read(net, net.folder / "thanks", len(running))
            self.assertEqual({each.read_text() for each in thanks}, {"Good to know.\n"})

    def begin(self, home: Path, config: Path, name: str, box: str) -> subprocess.Popen[str]:
        """The example as a process, with a home of its own."""
        os.makedirs(home, 0o700)
        own = home / "mixminion.conf"
        own.write_text(config.read_text())
        how = [] if name == "default" else ["-c", RUN.format(reactor=name)]
        return subprocess.Popen(
            [sys.executable, *how, EXAMPLE, own, box],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )

    def answer_all(self, net: LocalNetwork, number: int) -> None:
        """Bob, with the command line."""
        for question in self.read(net, net.folder / "questions", number):
            net.mixminion("send", "-R", question, "--reply-blocks", "1", text="Bob.\n")

    def read(self, net: LocalNetwork, folder: Path, number: int) -> list[Path]:
        """That many messages from his mailbox; equal ones are one file."""
        end, fetched = time.monotonic() + 120, 0
        while fetched < number and time.monotonic() < end:
            said = net.mixminion("mailbox", "fetch", "1", "--output", folder)
            fetched += sum(map(int, re.findall(r"(?m)^(\d+) fetched", said)))
            time.sleep(1)
        self.assertEqual(fetched, number)
        return list(folder.iterdir())
