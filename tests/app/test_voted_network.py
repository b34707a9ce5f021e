"""A network that keeps itself: five authorities, servers that come, mail that arrives."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from mixminion.directory.checks import SignedConsensus
from mixminion.directory.consensus import USABLE
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.commands import wait_until
from mixminion.testing.directories import ByVote, found
from mixminion.testing.network import LocalNetwork

SECONDS = 60.0
INTERVAL = 10
SERVERS = 5


class VotedNetworkTests(SyncTestCase):
    def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        self.directory = ByVote(folder / "network" / "authorities", count=5)
        self.network = LocalNetwork(folder / "network", SERVERS, directory=self.directory)
        self.authorities = self.directory.authorities

    def documents(self) -> list[SignedConsensus]:
        """What the authorities serve, signed by most of them."""
        identities = [self.authorities.identity(each) for each in self.authorities.all]
        served = [each.get("consensus") for each in self.authorities.all]
        return [
            SignedConsensus.verify(octets, identities, time.time())
            for octets in served
            if octets is not None
        ]

    def test_server_added(self):
        """Mail goes through servers that nobody listed by hand; one more is approved at five
        running authorities and is in the next consensus; no authority was restarted."""
        network, directory = self.network, self.directory
        *first, last = network.mixes
        network.make()
        self.addCleanup(network.stop)
        directory.start()
        network.start_relay()
        for mix in first:
            mix.start()
        directory.complete(first)
        network.mixminion("send", "--to", "bob@example.test", text="Nobody signed this.\n")
        wait_until(network.mails, SECONDS, "the mail did not arrive")
        self.assertIn(b"Nobody signed this.", network.mails()[0].read_bytes())

        pids = [each.pid for each in self.authorities.all]
        last.start()
        wait_until(
            lambda: "Waiting for approval at 5 of 5" in " ".join(last.ask("status")["attention"]),
            SECONDS,
            "the server does not say what it waits for",
        )
        wait_until(
            lambda: all(found(each, SERVERS) for each in self.authorities.all),
            SECONDS,
            "the authorities do not find the server",
        )
        before = max(each.consensus.valid_after for each in self.documents())
        for each in self.authorities.all:
            each.run("approve", last.nickname)
        everybody = {mix.nickname for mix in network.mixes}
        wait_until(
            lambda: (
                [{s.nickname for s in d.consensus.servers} for d in self.documents()]
                == [everybody] * 5
            ),
            SECONDS,
            "the server is not in every consensus",
        )
        documents = self.documents()
        (new,) = [s for s in documents[0].consensus.servers if s.nickname == last.nickname]
        self.assertEqual(new.flags, (USABLE,))
        # Listed at once, and used when every document that is valid has it.
        listed = new.usable_from - 3 * INTERVAL
        self.assertIn((listed - before) // INTERVAL, (1, 2, 3))
        self.assertEqual([each.pid for each in self.authorities.all], pids)
        wait_until(lambda: last.ask("status")["attention"] == [], SECONDS, "it is not content")
