"""Addresses: what is taken, and what never reaches a queue."""

from mixminion.mail import address
from mixminion.mail.errors import BadAddress
from mixminion.testing.cases import SyncTestCase


class AddressTests(SyncTestCase):
    def test_taken(self) -> None:
        """Ordinary addresses; the domain comes out in lower case, the local part as it is."""
        for text, local_part, domain in (
            ("Bob@Example.ORG", "Bob", "example.org"),
            ("a.b+c_d-e=f@x-y.example.org", "a.b+c_d-e=f", "x-y.example.org"),
            ("o'neil@xn--bcher-kva.example", "o'neil", "xn--bcher-kva.example"),
            ("a" * 64 + "@3com.test", "a" * 64, "3com.test"),
        ):
            parsed = address.parse(text)
            self.assertEqual((parsed.local_part, parsed.domain), (local_part, domain))

    def test_refused(self) -> None:
        """Line ends, NUL, quoting, routing, options, pipes, literals and bare hosts."""
        for text in (
            "", "bob", "@example.org", "bob@", "bob@localhost", "bob@[127.0.0.1]",
            "bob@127.0.0.1", "bob@example.org.", "bob@.example.org", "bob@ex..org",
            "bob@-x.org", "bob@x-.org", "a..b@x.org", ".a@x.org", "a.@x.org", "-f@x.org",
            "a b@x.org", '"a b"@x.org', "a%b@x.org", "a!b@x.org", "a/b@x.org", "|a@x.org",
            "a@b@x.org", "<a@x.org>", "a@x.org>", "a@x.org\n", "a@x.org\r\nRCPT TO:<b@x.org>",
            "a\r\n@x.org", "a\0@x.org", "a@x\0.org", "ä@x.org", "a@bücher.example", "a@x.org ",
            "a" * 65 + "@x.org", "a@" + "x" * 64 + ".org", "a@" + "x." * 130 + "org",
            "a@x.org,b@x.org", "a(c)@x.org", "a@x.१२३",
        ):  # fmt: skip
            with self.subTest(text=text), self.assertRaises(BadAddress):
                address.parse(text)

    def test_mailbox(self) -> None:
        """A name and an address; no line end gets through in either."""
        mailbox = address.parse_mailbox("Anonymous <anonymous@Example.org>")
        self.assertEqual(str(mailbox), "Anonymous <anonymous@example.org>")
        self.assertEqual(str(address.parse_mailbox("a@x.org")), "a@x.org")
        self.assertEqual(str(address.parse_mailbox('"A, B" <a@x.org>')), '"A, B" <a@x.org>')
        for text in ("", "A <a>", "A\r\nBcc: b@x.org <a@x.org>", "Ä <a@x.org>", "a@x.org, b@x.org"):
            with self.assertRaises(BadAddress):
                address.parse_mailbox(text)


class FoldedTests(SyncTestCase):
    def test_folded(self) -> None:
        """One form for all addresses of a mailbox; dots stay, and a + that begins it."""
        for text, form in (
            ("Bob@Example.org", "bob@example.org"),
            ("bob+a+b@example.org", "bob@example.org"),
            ("b.o.b@example.org", "b.o.b@example.org"),
            ("+bob@example.org", "+bob@example.org"),
        ):
            self.assertEqual(str(address.folded(address.parse(text))), form)

    def test_enclosing(self) -> None:
        """A domain and those above it, but for the top."""
        self.assertEqual(list(address.enclosing("a.b.org")), ["a.b.org", "b.org"])
