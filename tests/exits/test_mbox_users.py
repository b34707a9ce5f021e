"""The file of users: as strict as the configuration, and read again when it changes."""

from __future__ import annotations

from pathlib import Path

from mixminion.config import ConfigErrors
from mixminion.exits import mbox_users
from mixminion.exits.mbox_users import User, Users
from mixminion.testing.cases import SyncTestCase

USERS = """\
[User alice]
maildir = /home/alice/Maildir
[User b.o-b_1]
address = Bob@EXAMPLE.org
form = text
[User carol]
mh = carol/inbox
[User dave]
mbox = /var/mail/dave
[User erin]
lmtp = erin
[User frank]
lmtp = frank@example.org
"""


class UsersCase(SyncTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        self.accepted: str | None = None

    def accept(self, user: User) -> str | None:
        return self.accepted if user.lmtp is not None else None


class ReadTests(UsersCase):
    def test_places(self) -> None:
        """Each kind of place, in the form that is asked for; relative ones under the file's."""
        self.path.write_text(USERS)
        found = mbox_users.read(self.path)
        self.assertEqual(found["alice"], User(maildir=Path("/home/alice/Maildir")))
        self.assertEqual(found["b.o-b_1"], User(address="Bob@example.org", form="text"))
        self.assertEqual(found["carol"].mh, self.path.parent / "carol/inbox")
        self.assertEqual(found["dave"].mbox, Path("/var/mail/dave"))
        self.assertEqual([found[n].lmtp for n in ("erin", "frank")], ["erin", "frank@example.org"])

    def test_wrong(self) -> None:
        """What is wrong is told with line and key, all at once."""
        for text, *words in (
            ("[User Alice]\nmh = x\n", ":1: [User Alice]", "small letters"),
            ("[User a]\n", ":1: [User a] maildir", "exactly one of"),
            ("[User a]\nmh = x\nmbox = y\n", "[User a]", "exactly one of"),
            ("[User a]\naddress = a@b\n", ":2: [User a] address", "its domain"),
            ("[User a]\nlmtp = a b\n", ":2: [User a] lmtp", "a recipient such as"),
            ("[User a]\nmh = x\nform = html\n", ":3: [User a] form", "mime or text"),
            ("[User a]\nmaildri = x\n", "did you mean maildir?"),
            ("[Users a]\n", "unknown section"),
            ("[User]\nmh = x\n", "needs a name"),
            ("[User a]\nmh = ~/x\n", "~ is not expanded"),
            ("[User a]\nform = x\n[User b]\nmh = y\nmhh = x\n", "mime or text", "unknown key"),
        ):
            self.path.write_text(text)
            error = self.assertRaises(ConfigErrors, mbox_users.read, self.path)
            said = "\n".join(mbox_users.complaints(self.path, self.accept))
            for word in words:
                self.assertIn(word, said)
            self.assertEqual(said.count("\n") + 1, len(error.problems))

    def test_unreadable(self) -> None:
        """A file that is not there, or no text, is told as such."""
        for octets, word in ((None, "No such file"), (b"\xff", "UTF-8")):
            if octets is not None:
                self.path.write_bytes(octets)
            self.assertRaises(mbox_users.UnusableUsers, mbox_users.read, self.path)
            [said] = mbox_users.complaints(self.path, self.accept)
            self.assertIn(word, said)

    def test_accepted(self) -> None:
        """What the exit cannot do for a user is told of him."""
        self.path.write_text(USERS)
        self.assertEqual(mbox_users.complaints(self.path, self.accept), [])
        self.accepted = "no server"
        self.assertEqual(
            mbox_users.complaints(self.path, self.accept),
            [f"{self.path}: [User {name}]: no server" for name in ("erin", "frank")],
        )


class ChangeTests(UsersCase):
    def test_changes(self) -> None:
        """A changed file holds from the next look on; an unchanged one is not read."""
        self.path.write_text("[User alice]\nmh = a\n")
        users = Users(self.path, self.accept)
        self.assertTrue(users.look())
        self.assertFalse(users.look())
        self.assertIsNotNone(users.get("ALICE"))
        self.assertIsNone(users.get("bob"))
        self.path.write_text("[User bob]\nmh = a\n")
        self.assertIsNone(users.get("bob"))
        self.assertTrue(users.look())
        self.assertIsNotNone(users.get("bob"))
        self.assertIsNone(users.get("alice"))

    def test_broken(self) -> None:
        """One with errors is not taken over, and looked at again until it is mended."""
        self.path.write_text("[User alice]\nmh = a\n")
        users = Users(self.path, self.accept)
        users.look()
        self.accepted = "no server"
        for text in ("[User", "[User a]\nlmtp = a\n"):
            self.path.write_text(text)
            for _ in range(2):
                with self.assertRaises((ConfigErrors, mbox_users.UnusableUsers)):
                    users.look()
        self.path.unlink()
        self.assertRaises(mbox_users.UnusableUsers, users.look)
        self.assertIsNotNone(users.get("alice"))
        self.path.write_text("[User b]\nmh = a\n")
        self.assertTrue(users.look())

    def test_names(self) -> None:
        """Only ASCII letters lose their size: no other letter becomes a user's."""
        self.path.write_text("[User kim]\nmh = a\n")
        users = Users(self.path, self.accept)
        users.look()
        self.assertIsNotNone(users.get("KIM"))
        self.assertIsNone(users.get("\N{KELVIN SIGN}im"))
