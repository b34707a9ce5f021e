from hypothesis import given
from hypothesis import strategies as st

from mixminion.client.addresses import Address, parse
from mixminion.client.errors import BadAddress
from mixminion.errors import render
from mixminion.payload import capability
from mixminion.testing.cases import SyncTestCase

KEY = capability.to_text(bytes(range(32)))


class ParseTests(SyncTestCase):
    """Every address form of the manual, and what is refused."""

    def test_forms(self):
        """Each form gives its exit and recipients."""
        for text, expected in {
            "alice@example.org": Address("smtp", ("alice@example.org",), mail=True),
            "a.b+c@EXAMPLE.org": Address("smtp", ("a.b+c@example.org",), mail=True),
            "smtp:alice@example.org": Address("smtp", ("alice@example.org",), mail=True),
            "mx2:alice@example.org": Address("mx2", ("alice@example.org",), mail=True),
            "drop": Address("drop", (), mail=False),
            "news:alt.test": Address("news", ("alt.test",), mail=True),
            "news:comp.lang.c++,misc.test": Address(
                "news", ("comp.lang.c++", "misc.test"), mail=True
            ),
            "mbox:alice": Address("mbox", ("alice",), mail=True),
            "mbox:a.b-c@Mix_1": Address("mbox", ("a.b-c",), mail=True, server="Mix_1"),
            f"mailbox:{KEY}@Mix_1": Address("mailbox", (KEY,), mail=False, server="Mix_1"),
            "shelf:any text": Address("shelf", ("any text",), mail=False),
        }.items():
            self.assertEqual(parse(text), expected, text)

    def test_refused(self):
        """What is no address is refused with a sentence that shows it and gives the forms."""
        for text in (
            "", "alice", "@example.org", "alice@", "a b@example.org", "alice@[192.0.2.1]",
            "alice@localhost", "alice@example.org\r\nRCPT TO:<bob@example.org>",
            "alice@exämple.org", "Exit:text", "news:", "news:a\nb", ":x", "mbox:" + "x" * 2000,
            "smtp:alice", "mbox:alice@example.org", "mbox:a b", "mbox:@mix", "mbox:alice@",
            "news:a,", "news:a,a", "news:a b", "news:a..b", "news:*",
            "mailbox:x@mix", f"mailbox:{KEY}", f"mailbox:{KEY}@", f"mailbox:{KEY}=@mix",
            f"mailbox:{KEY}@a@mix", f"mailbox:{KEY}@1",
        ):  # fmt: skip
            error = self.assertRaises(BadAddress, parse, text)
            self.assertEqual(error.exit_code, 64)
            self.assertIn("Write user@example.org, drop, or exit:text", render(error))
            self.assertNotIn("\n", render(error))

    @given(st.text(max_size=80))
    def test_any_text(self, text):
        """No text does anything else than give an address or a refusal."""
        try:
            address = parse(text)
        except BadAddress:
            return
        self.assertTrue(all(recipient.isprintable() for recipient in address.recipients))
