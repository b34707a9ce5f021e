"""A real Postfix as the recipients' own server, named by a real name server."""

from __future__ import annotations

from mixminion.interfaces import Message
from tests.exits import kit
from tests.exits.zone import Zone, a, mx
from tests.integration.test_postfix import BOB, body, reactor
from tests.integration.test_postfix_relay import CONTENT, RelayCase, kind, message


class MxTests(RelayCase):
    async def test_mx(self) -> None:
        """By MX and STARTTLS into the Maildir; unknown users and null MX fail for good."""
        zone = Zone()
        zone.records = {
            "example.test": [mx(10, "away.test"), mx(20, "mail.test")],
            "away.test": [a("127.0.0.9")],
            "mail.test": [a("127.0.0.1")],
            "none.test": [mx(0, "")],
        }
        udp = zone.listen(reactor)
        self.addCleanup(udp.stopListening)
        exit = self.made(
            1,
            "transport = mx\ninternal-addresses = yes\nsource = 127.0.0.5\n"
            f"mx-port = {self.postfix.port}\nresolver = 127.0.0.1:{udp.getHost().port}",
        )
        self.assertEqual(await exit.deliver(message()), kit.DELIVERED)
        [mail] = await self.arrived(1)
        self.assertEqual(body(mail), body(CONTENT))
        self.assertIn(b"ESMTPS", mail)
        self.assertIn(b"[127.0.0.5]", mail)
        several = Message(
            "smtp",
            (BOB, "nobody@example.test", "eve@none.test", "eve@nowhere.test"),
            CONTENT,
            None,
            "<2@mix.test>",
            1_800_000_000,
        )
        self.assertEqual(kind(await exit.deliver(several)), ("delivered", "in-part"))
        await self.arrived(2)
