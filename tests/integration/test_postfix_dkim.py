"""Signed mail through a real Postfix: OpenDKIM takes both signatures of what arrives."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from typing_extensions import override

from mixminion.exits import dkim
from mixminion.exits.dkim import ALGORITHMS, KeyFile
from mixminion.interfaces import Message
from tests.exits import kit
from tests.integration.postfix import INSTALL
from tests.integration.test_postfix import BOB, mime_message
from tests.integration.test_postfix_relay import RelayCase, kind


class DkimTests(RelayCase):
    @override
    def setUp(self) -> None:
        subprocess.run(["bash", INSTALL, "opendkim"], check=True)
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(mode=0o700)
        files = []
        for name in ALGORITHMS:
            path = self.folder / f"{name}.pem"
            path.touch(0o600)
            path.write_bytes(dkim.generate(name))
            files.append(KeyFile(f"{name}1", path))
        self.keys = "dkim-keys = " + ", ".join(map(str, files))
        keys = dkim.load("mix.test", files)
        records = self.folder / "records"
        records.write_text("".join(f"{key.name} {key.record}\n" for key in keys))
        (self.folder / "opendkim.conf").write_text(
            f"Mode v\nUserID root\nAlwaysAddARHeader yes\nTestDNSData file:{records}\n"
        )

    def verdicts(self, mail: bytes) -> list[tuple[str, str]]:
        """OpenDKIM's word for each signature."""
        file = self.folder / "mail"
        file.write_bytes(mail)
        said = subprocess.run(
            ["opendkim", "-x", self.folder / "opendkim.conf", "-vv", "-t", file],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return re.findall(r"dkim=(\w+).*?header\.a=([\w-]+)", said.stdout)

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
        exit = self.made(self.postfix.port, tls + self.keys)
        for each in (*messages, sealed):
            self.assertEqual(await exit.deliver(each), kit.DELIVERED)
        exit = self.made(self.postfix.seven_bit_port, tls + self.keys)
        self.assertEqual(await exit.deliver(messages[-1]), kit.DELIVERED)
        mails = await self.arrived(len(messages) + 2)
        algorithms = ("rsa-sha256", "ed25519-sha256")
        for mail in mails:
            self.assertEqual(self.verdicts(mail), [("pass", each) for each in algorithms])
        forged = mails[0].replace(b"@mix.test>", b"@mix.text>")
        self.assertEqual(self.verdicts(forged), [("fail", each) for each in algorithms])

    async def test_as_in_the_manual(self) -> None:
        """The port that the manual describes leaves signatures whole, logs under its own name,
        and takes no mail from another domain."""
        content = b"To: Bob <bob@example.test>\nSubject: =?utf-8?q?=C3=A4?= \n\nhello \n"
        mail = Message("smtp", (BOB,), content, None, "<1@mix.test>", 1_800_000_000)
        exit = self.made(self.postfix.manual_port, f"tls = no\n{self.keys}")
        self.assertEqual(await exit.deliver(mail), kit.DELIVERED)
        [arrived] = await self.arrived(1)
        algorithms = ("rsa-sha256", "ed25519-sha256")
        self.assertEqual(self.verdicts(arrived), [("pass", each) for each in algorithms])
        self.assertIn("postfix-mix/smtpd", self.postfix.log)
        keys = "tls = no\nfrom = eve@other.test"
        exit = self.made(self.postfix.manual_port, keys, domain="other.test")
        self.assertEqual(kind(await exit.deliver(mail)), ("permanent", "smtp-554"))
