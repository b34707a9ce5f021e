"""``mixminion decode`` and ``mixminion fragments``: answers as they are delivered, read."""

from __future__ import annotations

import json
from base64 import b64decode

from mixminion.crypto.rng import SeededRandom
from mixminion.directory.parts import Exit
from mixminion.exits.mbox_forms import compose_for
from mixminion.exits.mbox_users import MIME, TEXT
from mixminion.interfaces import Message
from mixminion.mail.policy import Policy
from tests.cli.clients import CommandCase
from tests.client.answers import Owner

EXIT = Exit(name="mailbox", module="mailbox", max_message=2**20)


class DecodeCase(CommandCase):
    def setUp(self):
        super().setUp()
        self.configure("[Client]\none-shot-notice = no\n")
        self.network.mix("mix5").exits += (EXIT,)
        self.network.sign()
        self.random = SeededRandom(b"decode")
        self.owner = Owner(self.network, self.random)

    async def answered(self, content, *options, pairs=1):
        """What is delivered for an answer to blocks of ours: handles and payloads."""
        before = {answer.surb_id for _, answer in self.owner.delivered()}
        file = self.folder / "blocks"
        await self.run_command("reply-block", "create", "-n", str(pairs), "-o", str(file), *options)
        done = await self.run_command("send", "-R", str(file), stdin=content)
        self.assertEqual(done.code, 0, done.err)
        came = [answer for _, answer in self.owner.delivered()]  # by mix, not by time
        return [(each.surb_id, each.payload) for each in came if each.surb_id not in before]

    def mail(self, came, form):
        """The mail in which an exit delivers it."""
        message = Message("mbox", ("me",), came[1], came[0], "<1@example.org>", 1_800_000_000)
        options = {"sender": "Exit <x@example.org>", "recipient": "me@example.org"}
        return compose_for(message, form, policy=Policy(), **options).octets()

    def decode(self, octets, *options):
        return self.run_command("decode", *options, stdin=octets)


class DecodeTests(DecodeCase):
    async def test_mails(self):
        """The octets of an answer and nothing else, from both forms of mails; then it was read."""
        text = "Grüße".encode()
        [came] = await self.answered(text)
        done = await self.decode(self.mail(came, TEXT))
        self.assertEqual((done.code, done.out, done.err), (0, "Grüße", ""))
        done = await self.decode(self.mail(came, TEXT))
        self.assertEqual((done.code, done.out), (0, ""))
        self.assertIn("a copy of what was read before", done.err)
        done = await self.decode(self.mail(came, MIME), "--again")
        self.assertEqual(done.out, "Grüße")
        listed = json.loads((await self.run_command("reply-block", "list", "--json")).out)
        self.assertEqual([each["used"] is None for each in listed], [False, True])

    async def test_files(self):
        """Sealed answers by themselves, whose names, or an option, say which block they answer."""
        [(handle, payload)] = await self.answered(b"one")
        named = self.folder / f"7-{handle.hex()}.reply"
        named.write_bytes(payload)
        done = await self.run_command("decode", "-i", str(named), "-o", str(self.folder / "out"))
        self.assertEqual((done.code, done.out), (0, f"{self.folder}/out\n"))
        self.assertEqual((self.folder / "out").read_bytes(), b"one")
        self.assertEqual((self.folder / "out").stat().st_mode & 0o777, 0o600)
        done = await self.decode(payload, "--handle", handle.hex().upper(), "--again")
        self.assertEqual(done.out, "one")
        done = await self.decode(payload, "--handle", "xyz")
        self.assertEqual(done.code, 64)

    async def test_folder(self):
        """A folder of mails: titles on the screen, files in a folder, values for programs; one that
        cannot be opened is told, and the others are shown."""
        [one] = await self.answered(b"one")
        [two] = await self.answered(b"two")
        changed = (one[0], one[1][:-1] + bytes((one[1][-1] ^ 1,)))
        mails = [self.mail(one, MIME), self.mail(changed, MIME), self.mail(two, TEXT)]
        mails.append(b"Subject: Hi\r\n\r\nHello\r\n")
        box = b"\n".join(
            b"From x Thu Jan  1 00:00:00 2027\n" + each.replace(b"\r\n", b"\n") for each in mails
        )
        done = await self.decode(box, "-o", str(self.folder / "file"))
        self.assertRefused(done, 64, "There are 3 messages")
        into = self.folder / "into"
        done = await self.decode(box, "-o", f"{into}/")
        self.assertEqual(done.code, 65)
        self.assertIn("not opened: The answer to reply block", done.err)
        contents = sorted(path.read_bytes() for path in into.iterdir())
        self.assertEqual(contents, [b"Subject: Hi\n\nHello\n", b"one", b"two"])
        done = await self.decode(box, "--again")
        date = "2027-01-15T08:00:00Z"
        self.assertIn(f"--- reply for default, {date}, 3 octets\none\n--- reply", done.out)
        done = await self.decode(box, "--again", "--json")
        messages = json.loads(done.out)["messages"]
        kinds = [each["kind"] for each in messages]
        self.assertEqual(kinds, ["reply", "closed", "reply", "message"])
        self.assertEqual(b64decode(messages[2]["content"]), b"two")
        self.assertEqual(messages[1]["error"], "damaged-reply")

    async def test_passphrase(self):
        """An identity with a passphrase; without it nothing is read and nothing marked."""
        secret = self.folder / "secret"
        secret.write_bytes(b"open sesame\n")
        secret.chmod(0o600)
        given = ("--passphrase-file", str(secret))
        await self.run_command("identity", "create", "safe", *given)
        [came] = await self.answered(b"for safe", "--identity", "safe")
        mail = self.mail(came, MIME)
        done = await self.decode(mail)
        self.assertEqual((done.code, done.out), (77, ""))
        self.assertIn("'safe' is protected by a passphrase", done.err)
        secret.write_bytes(b"wrong\n")
        self.assertEqual((await self.decode(mail, *given)).code, 77)
        secret.write_bytes(b"open sesame\n")
        done = await self.decode(mail, *given)
        self.assertEqual((done.code, done.out), (0, "for safe"))
        await self.run_command("identity", "create", "other")
        done = await self.decode(mail, "--again", "--identity", "other")
        self.assertEqual(done.code, 65)
        self.assertIn("read it with --identity safe", done.err)

    async def test_bomb(self):
        """What expands beyond the limit is left alone, and read with a higher one."""
        text = self.random.octets(15_000).hex().encode()
        [came] = await self.answered(text)
        done = await self.decode(self.mail(came, MIME), "--max-size", "20 KiB")
        self.assertEqual((done.code, done.out), (65, ""))
        self.assertIn("allow it with --max-size", done.err)
        done = await self.decode(self.mail(came, MIME), "--max-size", "30 KiB")
        self.assertEqual(done.out.encode(), text)

    async def test_blocks(self):
        """Reply blocks in what came are told, and the file answers them."""
        file = self.folder / "blocks"
        await self.run_command("reply-block", "create", "-o", str(file))
        done = await self.decode(b"Hello\n" + file.read_bytes())
        self.assertIn("it brought 2 reply blocks: `mixminion send -R FILE`", done.err)
        self.assertTrue(done.out.startswith("Hello\n-----BEGIN MIXMINION REPLY BLOCK-----"))

    async def test_wrong(self):
        """Nothing, and what belongs to nobody here."""
        done = await self.decode(b"")
        self.assertRefused(done, 65, "standard input is empty")
        done = await self.run_command("decode", "-i", "/nowhere")
        self.assertRefused(done, 65, "/nowhere")
        stranger = (b"s" * 16, bytes(1000))
        done = await self.decode(self.mail(stranger, TEXT))
        self.assertEqual((done.code, done.out), (65, ""))
        self.assertIn("of another home, or expired", done.err)


class FragmentsTests(DecodeCase):
    async def test_parts(self):
        """An answer in three parts: kept, listed, put together with the last one."""
        content = self.random.octets(50_000)
        came = await self.answered(content, pairs=3)
        self.assertEqual(len(came), 3)
        for here in (1, 2):
            done = await self.decode(self.mail(came[here - 1], TEXT))
            self.assertEqual((done.code, done.out), (0, ""))
            said = f"a part of reply 1 for default: {here} here, {3 - here} more have to come"
            self.assertIn(said, done.err)
        [listed] = json.loads((await self.run_command("fragments", "list", "--json")).out)
        self.assertEqual((listed["have"], listed["lacking"], listed["size"]), (2, 1, 50_000))
        done = await self.run_command("fragments", "list")
        self.assertRegex(
            done.out, r"\n1 +default +2 +1 +50,000 +\d{4}-\d\d-\d\d +\d{4}-\d\d-\d\d\n"
        )
        done = await self.run_command("fragments", "assemble", "1")
        self.assertRefused(done, 69, "Of reply 1 1 more parts have to come")
        out = self.folder / "answer"
        done = await self.decode(self.mail(came[2], MIME), "--max-size", "40 KiB")
        self.assertEqual(done.code, 65)
        done = await self.run_command("fragments", "assemble", "1", "-o", str(out))
        self.assertEqual((done.code, out.read_bytes()), (0, content))
        done = await self.run_command("fragments", "list")
        self.assertEqual(done.out, "There are no parts of answers.\n")

    async def test_purge(self):
        """Parts that nobody wants any more."""
        came = await self.answered(self.random.octets(30_000), pairs=2)
        await self.decode(self.mail(came[0], TEXT))
        done = await self.run_command("fragments", "purge")
        self.assertEqual(done.out, "0 deleted\n")
        done = await self.run_command("fragments", "purge", "1", "--json")
        self.assertEqual(json.loads(done.out), {"deleted": 1})
        done = await self.run_command("fragments", "assemble", "1")
        self.assertRefused(done, 64, "There is no reply in parts 1")
