"""Signed mail through a real Postfix: OpenDKIM takes both signatures of what arrives."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import override

from mixminion.interfaces import Message
from tests.exits import kit
from tests.integration.opendkim import ALL_FAIL, ALL_PASS, OpenDkim
from tests.integration.test_postfix import BOB, mime_message
from tests.integration.test_postfix_relay import RelayCase, kind


class DkimTests(RelayCase):
    @override
    def setUp(self) -> None:
        super().setUp()
        self.opendkim = OpenDkim(Path(self.mktemp()), "mix.test")

    async def test_signatures(self) -> None:
        """Texts, MIME with 8 bits, what Postfix's 7-bit port has made quoted-printable, and
        replies: RSA and Ed25519 pass; a letter changed, and both fail."""
        contents = [b"Subject: x\n\nhello \n\n\n", mime_message(), b"\n", b"\n\n\n."]
        latin = b"Content-Type: text/plain; charset=utf-8\n\n" + "\u00e4 \n".encode() * 300
        sealed = Message("smtp", (BOB,), b"\xff" * 500, b"s" * 16, "<9@mix.test>", 1_800_000_000)
        messages = [
            Message("smtp", (BOB,), content, None, f"<{n}@mix.test>", 1_800_000_000 + n)
            for n, content in enumerate([*contents, latin])
        ]
        tls = f"tls = required\nca-file = {self.postfix.ca_file}\nmax-message = 8 MB\n"
        exit = self.made(self.postfix.port, tls + self.opendkim.line)
        for each in (*messages, sealed):
            self.assertEqual(await exit.deliver(each), kit.DELIVERED)
        exit = self.made(self.postfix.seven_bit_port, tls + self.opendkim.line)
        self.assertEqual(await exit.deliver(messages[-1]), kit.DELIVERED)
        mails = await self.arrived(len(messages) + 2)
        for mail in mails:
            self.assertEqual(self.opendkim.verdicts(mail), ALL_PASS)
        forged = mails[0].replace(b"@mix.test>", b"@mix.text>")
        self.assertEqual(self.opendkim.verdicts(forged), ALL_FAIL)

    async def test_as_in_the_manual(self) -> None:
        """The port that the manual describes leaves signatures whole, logs under its own name,
        and takes no mail from another domain."""
        content = b"To: Bob <bob@example.test>\nSubject: =?utf-8?q?=C3=A4?= \n\nhello \n"
        mail = Message("smtp", (BOB,), content, None, "<1@mix.test>", 1_800_000_000)
        exit = self.made(self.postfix.manual_port, f"tls = no\n{self.opendkim.line}")
        self.assertEqual(await exit.deliver(mail), kit.DELIVERED)
        [arrived] = await self.arrived(1)
        self.assertEqual(self.opendkim.verdicts(arrived), ALL_PASS)
        self.assertIn("postfix-mix/smtpd", self.postfix.log)
        keys = "tls = no\nfrom = eve@other.test"
        exit = self.made(self.postfix.manual_port, keys, domain="other.test")
        self.assertEqual(kind(await exit.deliver(mail)), ("permanent", "smtp-554"))
