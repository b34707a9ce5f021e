"""``mixminion reply-block`` and ``mixminion identity`` against a network in the test's process."""

from __future__ import annotations

from mixminion.client import blocks_text
from tests.cli.blocks import BlocksCase


class CreateTests(BlocksCase):
    async def test_text(self):
        """A pair as text on standard output; a mailbox was made for the answers."""
        done = await self.run_command("reply-block", "create")
        self.assertEqual(done.code, 0, done.err)
        self.assertRegex(done.out, r"\A-----BEGIN MIXMINION REPLY BLOCK-----\nValid: .+Z to .+Z\n")
        self.assertIn("2 reply blocks, to be answered until about ", done.err)
        self.assertEqual(len(blocks_text.find(done.out.encode())), 2)
        [box] = await self.result("mailbox", "list")
        listed = await self.result("reply-block", "list")
        self.assertEqual([each["address"] for each in listed], [box["address"]] * 2)
        self.assertNotIn(box["address"], done.err)
        shown = await self.result("identity", "show")
        self.assertEqual((shown["name"], shown["address"]), ("default", box["address"]))
        shown = await self.result("reply-block", "show", "-", stdin=done.out.encode())
        self.assertEqual([each["state"] for each in shown], ["usable", "not-yet"])
        self.assertEqual([each["own"] for each in shown], listed)

    async def test_file(self):
        """Both forms in private files; several pairs; another address and identity."""
        await self.result("identity", "create", "bob")
        text, octets = self.folder / "text", self.folder / "octets"
        done = await self.run_command("reply-block", "create", "-n", "2", "-o", str(text))
        self.assertEqual((done.code, done.out), (0, ""), done.err)
        made = await self.result(
            *("reply-block", "create", "--binary", "-o", str(octets)),
            *("--identity", "bob", "--to", "bob@example.org", "--lifetime", "8 days"),
        )
        self.assertEqual((made["blocks"], made["file"]), (2, str(octets)))
        self.assertEqual(len(blocks_text.find(text.read_bytes())), 4)
        self.assertEqual(len(octets.read_bytes()), 2 * 6084)
        self.assertEqual({each.stat().st_mode & 0o777 for each in (text, octets)}, {0o600})
        listed = await self.result("reply-block", "list", "--identity", "bob")
        self.assertEqual([each["address"] for each in listed], ["bob@example.org"] * 2)
        shown = await self.result("reply-block", "show", str(octets))
        self.assertEqual([each["own"] for each in shown], listed)

    async def test_standard_output(self):
        """JSON has the text; octets on standard output are octets and nothing else."""
        made = await self.result("reply-block", "create")
        self.assertEqual(len(blocks_text.find(made["text"].encode())), made["blocks"])
        listed = await self.result("reply-block", "list")
        self.assertEqual([each["handle"] for each in listed], made["handles"])
        done = await self.run_command("reply-block", "create", "--binary", "--json")
        self.assertEqual((done.code, done.out), (64, ""))

    async def test_wrong(self):
        """Each wrong use is one sentence that says what to do."""
        for arguments, code, parts in (
            (("create", "--lifetime", "100 days"), 64, ["100 days", "Ask for less"]),
            (("create", "--to", "drop"), 64, ["nothing arrives there"]),
            (("create", "--identity", "nobody"), 64, ["'nobody'", "identity create"]),
            (("delete", "7"), 64, ["no reply block 7"]),
        ):
            done = await self.run_command("reply-block", *arguments)
            self.assertRefused(done, code, *parts)
        for line in ("create -n 0", "create --lifetime long", "delete", "delete x"):
            done = await self.run_command("reply-block", *line.split())
            self.assertEqual((done.code, done.out), (64, ""))
            self.assertNotIn("Traceback", done.err)

    async def test_show_wrong(self):
        """Files without blocks, damaged ones, and ones that are not there."""
        done = await self.run_command("reply-block", "show", "-", stdin=b"Hello\n")
        self.assertRefused(done, 65, "no reply block in standard input")
        text = b"-----BEGIN MIXMINION REPLY BLOCK-----\n\nAAAA\n"
        done = await self.run_command("reply-block", "show", "-", stdin=text)
        self.assertRefused(done, 65, "damaged", "no end")
        done = await self.run_command("reply-block", "show", str(self.folder / "none"))
        self.assertRefused(done, 65, "none", "No such file")

    async def test_show_without_directory(self):
        """Where no directory is held nothing is fetched, and the dates are shown all the same."""
        done = await self.run_command("reply-block", "create")
        config = self.folder / "other.conf"
        config.write_text(self.network.config("[Client]\nhome = other\n"))
        asked = self.network.shelf.asked
        shown = await self.result(
            *("reply-block", "show", "-", "-f", str(config)), stdin=done.out.encode()
        )
        self.assertEqual([each["state"] for each in shown], ["unknown", "unknown"])
        self.assertEqual([each["own"] for each in shown], [None, None])
        self.assertEqual(self.network.shelf.asked, asked)

    async def test_delete(self):
        """By number; and what is not remembered any more."""
        await self.result("reply-block", "create")
        self.assertEqual(await self.result("reply-block", "delete", "2"), {"deleted": [2]})
        self.assertEqual(await self.result("reply-block", "expire"), {"deleted": 0})
        self.assertEqual(len(await self.result("reply-block", "list")), 1)
        done = await self.run_command("reply-block", "delete", "1")
        self.assertEqual((done.code, done.out), (0, "1 deleted\n"))
        done = await self.run_command("reply-block", "list")
        self.assertEqual(done.out, "There is no reply block of yours.\n")


class SendTests(BlocksCase):
    async def test_send(self):
        """A message that can be answered, in one step."""
        done = await self.run_command(
            *("send", "-t", "alice@example.org", "--reply-blocks", "1"), stdin=b"Answer me\n"
        )
        self.assertEqual(done.code, 0, done.err)
        [packet] = self.network.arrived
        _, _, (_, _, content) = self.network.open(packet)
        self.assertEqual(len(blocks_text.find(content)), 2)
        self.assertEqual(len(await self.result("reply-block", "list")), 2)

    async def test_signed(self):
        """A signed mail is refused with a sentence, and nothing is made or sent."""
        mail = b'Content-Type: multipart/signed; boundary="s"\n\n--s\n\nHello\n--s--\n'
        done = await self.run_command(
            *("send", "-q", "-t", "alice@example.org", "--message", "--reply-blocks", "1"),
            stdin=mail,
        )
        self.assertRefused(done, 64, "signed or encrypted", "reply-block create")
        self.assertEqual(self.network.arrived, [])
