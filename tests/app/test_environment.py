"""What a server's exits get from it."""

from __future__ import annotations

from pathlib import Path

from mixminion.app import configuration
from mixminion.app.environment import exits, host_name
from mixminion.crypto.rng import SystemRandom
from mixminion.testing.cases import SyncTestCase

CONFIG = """\
[Server]
nickname = mix1
[Incoming]
addresses = {addresses}
[Exit away]
module = drop
"""


class EnvironmentTests(SyncTestCase):
    def test_host_name(self):
        """A name as it is, an IP address as a literal of RFC 5321; the first of several."""
        for addresses, wanted in [
            ("mix.example.org:48099, 8.8.8.8:48099", "mix.example.org"),
            ("8.8.8.8:48099", "[8.8.8.8]"),
            ("[2001:db8::1]:48099", "[IPv6:2001:db8::1]"),
        ]:
            config = configuration.read(CONFIG.format(addresses=addresses), Path("/x/y.conf"))
            self.assertEqual(host_name(config), wanted)

    def test_exits(self):
        """The configured exits, by the names they have there."""
        config = configuration.read(CONFIG.format(addresses="8.8.8.8:1"), Path("/x/y.conf"))
        made = exits(config, None, SystemRandom())
        self.assertEqual(list(made), ["away"])
        self.assertEqual(made["away"].describe()["module"], "drop")
