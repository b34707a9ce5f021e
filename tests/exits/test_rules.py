"""Files that say who gets mail: every kind of line, and every way to be wrong."""

from __future__ import annotations

from pathlib import Path

from mixminion.config import ConfigErrors
from mixminion.exits import rules
from mixminion.exits.rules import Rules
from mixminion.mail import address
from mixminion.testing.cases import SyncTestCase


class RulesCase(SyncTestCase):
    def write(self, text: str, name: str = "rules") -> Path:
        path = Path(self.mktemp())
        path.mkdir(parents=True)
        path = path / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def rules(self, *texts: str) -> Rules:
        return rules.read([self.write(text) for text in texts])

    def refused(self, found: Rules, *names: str) -> list[str]:
        """Those of *names* who get no mail."""
        return [name for name in names if found.refuse(address.parse(name))]


class MatchTests(RulesCase):
    def test_kinds(self) -> None:
        """Each kind catches what it is for, in any case of letters, and nothing beside it."""
        for line, caught, free in (
            (
                "deny address Bob@Example.org",
                ["bob@example.org", "BOB@EXAMPLE.ORG", "bob+list@example.org"],
                ["bobby@example.org", "bob@a.example.org", "bob@example.com"],
            ),
            ("deny user Root", ["root@a.example", "root+x@b.example"], ["roots@a.example"]),
            ("deny host example.org", ["a@example.org"], ["a@b.example.org", "a@xexample.org"]),
            (
                "deny domain Example.org",
                ["a@example.org", "a@b.example.org", "a@c.b.example.org"],
                ["a@xexample.org", "a@example.com"],
            ),
            ("deny pattern *-list@*.example.org", ["a-list@b.example.org"], ["a-list@example.org"]),
            ("deny pattern b?b@example.org", ["bob@example.org"], ["boob@example.org"]),
        ):
            with self.subTest(line=line):
                found = self.rules(f"# a comment\n\n  {line}   # why\n")
                self.assertEqual(self.refused(found, *caught, *free), caught)

    def test_allowed(self) -> None:
        """An allow line overrules denying ones, wherever it stands."""
        found = self.rules("allow address bob@example.org\n", "deny domain example.org\n")
        self.assertEqual(
            self.refused(found, "bob@example.org", "eve@example.org"), ["eve@example.org"]
        )

    def test_closed(self) -> None:
        """An exit that sends to some alone."""
        found = self.rules("deny everybody\nallow domain example.org\n")
        self.assertEqual(self.refused(found, "a@b.example.org", "a@b.test"), ["a@b.test"])

    def test_none(self) -> None:
        """Without files everybody gets mail."""
        self.assertEqual(self.refused(rules.read([]), "bob@example.org"), [])

    def test_patterns_stay_quick(self) -> None:
        """However many stars meet however long an address."""
        found = self.rules("deny pattern " + "*a" * 60 + "b@example.org\n")
        self.assertEqual(self.refused(found, "a" * 64 + "@example.org"), [])


class ErrorTests(RulesCase):
    def test_all_at_once(self) -> None:
        """Every wrong line is told, with its file and number."""
        good = self.write("deny user root\n", "good")
        bad = self.write(
            "deny\nforbid user a\ndeny mailbox a@b.c\ndeny address bob\n# fine\n"
            "deny host -\ndeny user a@b\ndeny pattern [a]@b\nallow everybody\ndeny user a b\n",
            "bad",
        )
        missing = bad.with_name("missing")
        with self.assertRaises(ConfigErrors) as caught:
            rules.read([good, bad, missing])
        told = [str(problem) for problem in caught.exception.problems]
        places = [f"{bad}:{number}: " for number in (1, 2, 3, 4, 6, 7, 8, 9, 10)]
        for place, line in zip([*places, f"{missing}: "], told, strict=True):
            self.assertTrue(line.startswith(place), line)
        self.assertIn("expected an address such as user@example.org", told[3])

    def test_others_may_not_write_it(self) -> None:
        """Nor is it read when it is no text."""
        path = self.write("deny user root\n")
        path.chmod(0o666)
        with self.assertRaises(ConfigErrors) as caught:
            rules.read([path])
        self.assertIn("chmod go-w", str(caught.exception.problems[0]))
        path.chmod(0o600)
        path.write_bytes(b"deny user r\xf6\xf6t\n")
        with self.assertRaises(ConfigErrors) as caught:
            rules.read([path])
        self.assertIn("ASCII", str(caught.exception.problems[0]))
