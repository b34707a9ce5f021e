"""What the operator of an exit to mail lets senders say, from the configuration to the mail."""

from __future__ import annotations

import email
import email.policy

from mixminion.config import ConfigErrors
from mixminion.config.dump import dump
from mixminion.exits import registry
from mixminion.exits.mail_section import MailSection
from mixminion.exits.section import ExitSection
from mixminion.exits.smtp import SmtpExit
from mixminion.interfaces import Message
from mixminion.mail.policy import Policy
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.exits import kit

HEAD = "[Exit smtp]\nmodule = smtp\ndomain = mix.test\n"
FULL = (
    "allow-from = yes\nallow-reply-to = yes\nreply-to = Nobody <nobody@mix.test>\n"
    "subject = Grüße\nfooter = Sent by a remailer.\n  Ask abuse@mix.test.\n"
)
CONTENT = b"From: Alice <alice@home.test>\r\n\r\nHello\r\n"


def section(text: str) -> MailSection:
    [found] = kit.config(HEAD + text).named(ExitSection).values()
    assert isinstance(found, MailSection)
    return found


def exit(text: str) -> SmtpExit:
    config = kit.config(HEAD + text)
    [made] = registry.load(config, kit.Environment(HeapClock()), kit.MODULES).values()
    assert isinstance(made, SmtpExit)
    return made


class MailSectionTests(SyncTestCase):
    def test_nothing_said(self) -> None:
        """Without the keys nothing of the sender's own passes and nothing is added."""
        self.assertEqual(section("").mail_policy, Policy())

    def test_all_said(self) -> None:
        """Every key arrives in the policy, also after the configuration was written out."""
        policy = section(FULL).mail_policy
        footer = "Sent by a remailer.\nAsk abuse@mix.test."
        self.assertEqual(policy, Policy(True, True, "Nobody <nobody@mix.test>", "Grüße", footer))
        again = kit.config(dump(kit.config(HEAD + FULL))).named(ExitSection)["smtp"]
        assert isinstance(again, MailSection)
        self.assertEqual(again.mail_policy, policy)

    def test_published(self) -> None:
        """Senders learn from the descriptor whether a name and an address for answers pass."""
        shown = exit(FULL).describe()
        self.assertEqual((shown["allow-from"], shown["allow-reply-to"]), (True, True))
        shown = exit("").describe()
        self.assertEqual((shown["allow-from"], shown["allow-reply-to"]), (False, False))

    def test_in_a_mail(self) -> None:
        """The exit makes its mails by it."""
        message = Message("smtp", ("bob@example.test",), CONTENT, None, "<1@mix.test>", 1)
        mail = exit(FULL)._mail(message)
        parsed = email.message_from_bytes(mail.octets(), policy=email.policy.default)
        self.assertEqual(parsed["From"], "Alice <anonymous@mix.test>")
        self.assertEqual(parsed["Reply-To"], "Nobody <nobody@mix.test>")
        self.assertEqual(parsed["Subject"], "Grüße")
        self.assertEqual(
            mail.body, b"Hello\r\n-- \r\nSent by a remailer.\r\nAsk abuse@mix.test.\r\n"
        )

    def test_wrong(self) -> None:
        """Addresses, subjects and footers that no mail could carry are refused with their key."""
        for key, value in (
            ("allow-from", "perhaps"),
            ("reply-to", "nobody"),
            ("subject", "x" * 201),
            ("footer", "x" * 79),
            ("footer", "x" + "\n y" * 20),
        ):
            with self.assertRaises(ConfigErrors) as caught:
                section(f"{key} = {value}\n")
            [problem] = caught.exception.problems
            self.assertIn(key, str(problem))
