"""A receipt through real processes: an exit that takes mail and is silent, and another one."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from mixminion.directory.parameters import Parameters
from mixminion.testing.cases import AsyncTestCase
from mixminion.testing.commands import mixminion, wait_until
from mixminion.testing.network import LocalNetwork, Mix

FORGETFUL = """\
import os
if os.environ.get("SILENT_EXIT"):
    from mixminion.exits.delivery import Delivery
    Delivery.accept = lambda self, payload, due: "discarded"
"""


class ReceiptsTests(AsyncTestCase):
    """Four mixes, two of them exits with mailboxes, and an SMTP server."""

    timeout = 300

    async def setUp(self) -> None:  # type: ignore[override]
        self.network = LocalNetwork(
            Path(self.mktemp()),
            mixes=4,
            parameters=Parameters(
                mean_delay_ms=400, delay_cap_ms=4000, tick_ms=10, mix_loops_per_hour=0, hops=2
            ),
            mailboxes=True,
        )
        await deferToThread(self.network.make)
        self.addCleanup(deferToThread, self.network.stop)
        await deferToThread(self.network.describe_again)
        await deferToThread(self.network.start)

    async def test_silent_exit(self) -> None:
        """One exit takes packets and drops them: no receipt comes; the message is sent again, in
        the end by the other exit, and arrives once; a receipt says so."""
        folder = self.network.folder / "silent"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(FORGETFUL)
        silent = self.network.mixes[-1]
        await deferToThread(silent.kill)
        before = {name: os.environ.get(name) for name in ("PYTHONPATH", "SILENT_EXIT")}
        os.environ.update(PYTHONPATH=str(folder), SILENT_EXIT="yes")
        await deferToThread(silent.start)
        for name, text in before.items():
            os.environ.pop(name)
            if text is not None:
                os.environ[name] = text
        sent = 0
        while not _dropped(silent):
            await deferToThread(self._command, "send", "-t", f"bob{sent}@example.org", "--receipt")
            sent += 1
            arrives = partial(self._arrives, silent, sent)
            await deferToThread(wait_until, arrives, 60.0, "it went nowhere")
        await deferToThread(wait_until, self._all_accepted, 180.0, "not all were accepted")
        found = await deferToThread(self._receipts, "list")
        self.assertEqual([each["attempts"] >= 3 for each in found], [False] * (sent - 1) + [True])
        arrived = [path.read_bytes() for path in self.network.mails()]
        recipients = [n for n in range(sent) for each in arrived if b"bob%d@" % n in each]
        self.assertEqual(sorted(recipients), list(range(sent)))

    def _arrives(self, silent: Mix, count: int) -> bool:
        return _dropped(silent) or len(self.network.mails()) == count

    def _all_accepted(self) -> bool:
        return all(each["state"] == "accepted" for each in self._receipts("check"))

    def _receipts(self, verb: str) -> Any:
        return json.loads(self._command("receipts", verb, "--json"))

    def _command(self, *arguments: str) -> str:
        text = self.network.folder / "text"
        text.write_text("See you at nine.\n")
        given = ("-i", str(text)) if arguments[0] == "send" else ()
        return mixminion(*arguments, *given, "-q", "-f", self.network.client_config)


def _dropped(mix: Mix) -> bool:
    return "drop-discarded" in mix.ask("status")["counters"]
