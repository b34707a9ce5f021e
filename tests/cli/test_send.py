"""``mixminion send``: what it does, what it says, and every way it can be wrong."""

from __future__ import annotations

import json
import os
from base64 import b64decode

from twisted.internet.task import deferLater

from mixminion.interfaces import Refusal
from tests.cli.clients import Command, CommandCase
from tests.client.network import reactor

HELLO = ("send", "-t", "alice@example.org", "-s", "Hi")


class SendTests(CommandCase):
    """Messages that leave."""

    async def test_send(self):
        """Every word that is said, in order; the path is not among them."""
        done = await self.run_command(*HELLO, stdin=b"Hello, Alice.\n")
        (packet,) = self.network.arrived
        path, _, (exit, recipients, content) = self.network.open(packet)
        self.assertEqual((exit, recipients), ("smtp", ("alice@example.org",)))
        self.assertIn(b"\r\n\r\nHello, Alice.\r\n", content)
        self.assertEqual(
            done.err.splitlines(),
            [
                "note: a message sent by itself is not unobservable: your network sees when you"
                " send. (Silence this with one-shot-notice = no.)",
                "fetching the directory",
                "chose a path of 4",
                f"handed to {path[0]}: this computer may be switched off; the message arrives in"
                " about 2 seconds",
            ],
        )
        self.assertEqual((done.code, done.out), (0, ""))

    async def test_json(self):
        """The result for programs; the path only when it is asked for."""
        self.configure("[Client]\none-shot-notice = no\n")
        done = await self.run_command(*HELLO, "--json", "--quiet", stdin=b"x")
        result = json.loads(done.out)
        self.assertEqual(done.err, "")
        self.assertRegex(result.pop("expected"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertRegex(result.pop("entry"), "^mix[1-5]$")
        self.assertEqual(result, {"sent": True, "hops": 4})
        done = await self.run_command(*HELLO, "--json", "--verbose", "-P", "mix1,*2,mix5")
        self.assertEqual(len(json.loads(done.out)["path"]), 4)
        self.assertRegex(done.err, "chose a path of 4: mix1, mix[2-4], mix[2-4], mix5\n")

    async def test_whole_message(self):
        """A mail program's message, from a file: what tells about its author stays here."""
        mail = self.folder / "mail"
        mail.write_bytes(b"From: bob@example.net\nTo: alice@example.org\n\nHello\n")
        done = await self.run_command(
            "send", "-t", "alice@example.org", "--message", "-i", str(mail)
        )
        (packet,) = self.network.arrived
        content = self.network.open(packet)[2][2]
        self.assertEqual(content, b"To: alice@example.org\r\n\r\nHello\r\n")
        self.assertIn("left out of the header: From\n", done.err)

    async def test_recipients(self):
        """Several of them, shown or not, and what is to be said of the sender."""
        options = ["-t", "a@example.org", "-t", "b@example.org", "--cc", "c@example.org"]
        options += ["--bcc", "d@example.org", "--from-name", "A. Friend"]
        options += ["--reply-to", "me@example.org"]
        await self.run_command("send", *options, stdin=b"x")
        (packet,) = self.network.arrived
        _, _, (exit, recipients, content) = self.network.open(packet)
        self.assertEqual((exit, len(recipients)), ("smtp", 4))
        for line in (b"To: a@example.org, b@example.org", b"Reply-To: me@example.org"):
            self.assertIn(line + b"\r\n", content)
        self.assertNotIn(b"d@example.org", content)

    async def test_unusual_path(self):
        """A path of another length is taken, with a warning."""
        done = await self.run_command("send", "-t", "drop", "-P", "*2")
        self.assertEqual(done.code, 0)
        self.assertIn("warning: The path has 2 hops and this network's usual one 4", done.err)

    async def test_large(self):
        """In several packets, and in more than the network's limit when that is asked for."""
        done = await self.run_command("send", "-t", "drop", "--json", stdin=os.urandom(100_000))
        self.assertEqual(len(self.network.arrived), 7)
        self.assertIn("goes in 7 packets, of which 4 are enough\n", done.err)
        self.assertIn("7 of 7 packets handed over\n", done.err)
        self.assertRegex(done.err, "handed to mix[1-5] and others: this computer may be switched")
        self.assertEqual(json.loads(done.out)["packets"], 7)
        arguments = ("send", "-t", "drop", "--large", "--copies", "2", "--quiet")
        done = await self.run_command(*arguments, stdin=os.urandom(500_000))
        self.assertEqual((done.code, done.err), (0, ""))
        self.assertEqual(len(self.network.arrived), 7 + 2 * 27)

    async def test_refused_by_the_entry(self):
        """Not sent, but kept: its own sentence and exit code; the queue shows and sends it."""
        intake = self.network.mix("mix1").intake
        intake.refusal = Refusal.FULL
        done = await self.run_command(*HELLO, "-P", "mix1,*2,mix5", stdin=b"x")
        self.assertRefused(
            done,
            75,
            "Not sent, but kept: mix1 did not take the packet (its disk is full);"
            " `mixminion queue flush` tries again.",
        )
        done = await self.run_command("queue", "list")
        self.assertRegex(done.out, r"^1: since .*Z, handed over once, without an answer\n$")
        self.assertNotIn("nothing was sent", done.err)
        done = await self.run_command("queue", "flush")
        self.assertEqual((done.code, done.out), (75, "0 handed over, 1 still kept\n"))
        self.assertIn("mix1 did not take the packet", done.err)
        intake.refusal = None
        done = await self.run_command("queue", "flush", "--json")
        self.assertEqual(json.loads(done.out), {"handed": [1], "kept": {}})
        self.assertEqual(len(self.network.arrived), 1)
        done = await self.run_command("queue", "list")
        self.assertEqual((done.code, done.out), (0, "Nothing is kept.\n"))

    async def test_interrupted(self):
        """Control-C while the entry does not answer: the message is kept, and that is said."""
        intake = self.network.mix("mix1").intake
        intake.silent = True
        command = self.start_command(*HELLO, "-P", "mix1,*2,mix5")
        while not intake.packets:
            await deferLater(reactor, 0.05)
        command.interrupt()
        done = await command.done
        self.assertEqual(done.code, 130)
        self.assertIn(
            "Interrupted; the message is kept: `mixminion queue flush` sends it.", done.err
        )
        self.assertNotIn("Traceback", done.err)
        done = await self.run_command("queue", "clean", "--all")
        self.assertEqual(done.out, "1 deleted\n")

    async def test_killed(self):
        """kill -9 while the entry does not answer: the same packet leaves at the next flush."""
        intake = self.network.mix("mix1").intake
        intake.silent = True
        command = self.start_command(*HELLO, "-P", "mix1,*2,mix5")
        while not intake.packets:
            await deferLater(reactor, 0.05)
        command.kill()
        await command.done
        intake.silent = False
        self.assertEqual((await self.run_command("queue", "flush")).code, 0)
        self.assertEqual((len(intake.packets), len(set(intake.packets))), (2, 1))


class WrongInputTests(CommandCase):
    """One sentence each, that says what to do, with its exit code; nothing is sent or kept."""

    async def refuse(self, code, *parts, arguments=HELLO, **options):
        done = await self.run_command(*arguments, **options)
        self.assertRefused(done, code, *parts)
        self.assertNotIn("kept", done.err.replace("nothing was sent or kept", ""))
        self.assertEqual(self.network.arrived, [])
        return done

    async def test_address(self):
        """No address."""
        await self.refuse(
            64,
            "'alice at example' is no address: it has no @. Write user@example.org, drop, or"
            " exit:text",
            arguments=("send", "-t", "alice at example"),
        )

    async def test_too_large(self):
        """More packets than the network's messages are meant to take: what they would cost."""
        await self.refuse(
            65,
            "The message has 800,000 octets with its header and takes 42 packets; messages of this"
            " network take at most 40. With --large it is sent all the same: 1 MB leave here"
            " (minutes at 1 Mbit/s: 1)",
            arguments=("send", "-t", "drop"),
            stdin=os.urandom(800_000),
        )

    async def test_too_large_for_exits(self):
        """Over what exits take."""
        await self.refuse(65, "24731 octets", "24000", stdin=b"x\n" * 8_200)

    async def test_unknown_server(self):
        """A name in the path that nobody has."""
        await self.refuse(64, "no server named 'mox1'", "mix1", arguments=(*HELLO, "-P", "mox1,*3"))

    async def test_path(self):
        """A path that is none, before anything is fetched; what programs read of it."""
        done = await self.refuse(64, "'*9x'", arguments=(*HELLO, "-P", "*9x"))
        self.assertNotIn("fetching", done.err)
        self.assertIn("\nnothing was sent or kept\n", done.err)
        done = await self.run_command(*HELLO, "-P", "*9x", "--json")
        self.assertEqual(json.loads(done.out), {"sent": False, "kept": False, "error": "bad-path"})

    async def test_no_such_exit(self):
        """An exit that no server has."""
        await self.refuse(69, "'news'", arguments=("send", "-t", "news:alt.test"))

    async def test_subject(self):
        """A subject with a line break would be a second header field."""
        await self.refuse(
            64, "subject", arguments=("send", "-t", "a@b.org", "-s", "a\nBcc: c@d.org")
        )

    async def test_not_text(self):
        """Octets that are no text."""
        await self.refuse(65, "octet 2", "--message", stdin=b"ab\xff")

    async def test_not_a_message(self):
        """--message with plain text."""
        await self.refuse(
            65,
            "not an RFC 5322 message",
            arguments=("send", "-t", "a@b.org", "--message"),
            stdin=b"Hello",
        )

    async def test_input(self):
        """A file that is not there."""
        await self.refuse(65, "'nowhere'", "No such file", arguments=(*HELLO, "-i", "nowhere"))

    async def test_no_configuration(self):
        """The first run: a template, and what to put into it."""
        await self.refuse(78, "a template is now in", "[Directory]", environment={})
        await self.refuse(78, "[Directory] authorities", environment={})

    async def test_unknown_key(self):
        """An unknown key: file and line."""
        self.configure("[Client]\nhoome = x\n")
        await self.refuse(78, "The configuration has errors")

    async def test_no_such_configuration(self):
        """A configuration that was named and is not there."""
        await self.refuse(
            78, "/nowhere.conf", arguments=("send", "-f", "/nowhere.conf", "-t", "drop")
        )

    async def test_unreachable(self):
        """No source answers."""
        self.configure(sources="127.0.0.1:1")
        await self.refuse(69, "No source gave a directory", "no connection")

    async def test_stranger(self):
        """A directory that others signed, and one that too few have."""
        strangers = [b"x" * 32, b"y" * 32]
        self.network.sign(signers=strangers)
        await self.refuse(69, "signed by 0 of the 3 authorities")
        self.network.sign(signers=[*strangers, self.network.authorities[0][0]])
        await self.refuse(69, "signed by 1 of the 3 authorities", "it takes 2")

    async def test_expired(self):
        """A directory that is valid no longer."""
        self.network.sign(now=reactor.seconds() - 8 * 86_400)
        await self.refuse(69, "The directory expired at", "1 day ago", "clock")

    async def test_early(self):
        """A directory of the future, or a clock that is behind."""
        self.network.sign(now=reactor.seconds() + 3600)
        await self.refuse(69, "The directory is valid only from", "clock")

    async def test_permissions(self):
        """A state file that others may read."""
        await self.run_command("queue", "list")
        state = self.folder / "state" / "client.sqlite"
        state.chmod(0o644)
        done = await self.refuse(77, f"chmod 600 {state}")
        self.assertNotIn("handed", done.err)

    async def test_options(self):
        """Options that do not go together, and one that is missing."""
        await self.refuse(64, "--message", arguments=(*HELLO, "--message"))
        await self.refuse(64, "--to", arguments=("send",))


class OrderTests(CommandCase):
    """Standard input is read before anything else happens."""

    async def test_input_first(self):
        """While somebody types, nothing is fetched."""
        said: list[Command] = []
        command = self.start_command(*HELLO, stdin=None, watch=said.append)
        await deferLater(reactor, 1.0)
        self.assertEqual((said, self.network.shelf.asked), ([], 0))
        command.write(b"Hello\n")
        self.assertEqual((await command.done).code, 0)
        self.assertGreater(self.network.shelf.asked, 0)


class PreviewTests(CommandCase):
    """``--preview``: everything but the sending."""

    async def test_mail(self):
        """What arrives, what it takes, and what to look at; nothing leaves or is kept."""
        mail = self.folder / "mail"
        mail.write_bytes(b"From: bob@example.net\nTo: a@example.org\n\nHi\n-- \nBob\n")
        options = ("-t", "a@example.org", "--bcc", "b@example.org", "--message", "-i", str(mail))
        done = await self.run_command("send", "--preview", *options)
        self.assertEqual(done.code, 0, done.err)
        for line in (
            "recipients: a@example.org",
            "recipients that the mail does not show: b@example.org",
            "path: 4 servers",
            "arrives: about 2 seconds after it was sent",
            "left out of the header: From",
            "look: There is a signature below the text (a line with --).",
            "From: Anonymous <anonymous@exit.invalid>",
            "Hi",
        ):
            self.assertIn(f"{line}\n", done.out)
        self.assertIn(", in 1 packet\n", done.out)
        self.assertIn("Not protected: ", done.out)
        self.assertEqual(self.network.arrived, [])
        done = await self.run_command("queue", "list")
        self.assertEqual(done.out, "Nothing is kept.\n")

    async def test_json(self):
        """The same for programs; also of octets for no mail, in several packets."""
        content = os.urandom(100_000)
        done = await self.run_command("send", "--preview", "-t", "drop", "--json", stdin=content)
        found = json.loads(done.out)
        self.assertEqual((found["packets"], found["needed"], found["limit"]), (7, 4, 40))
        self.assertEqual(b64decode(found["arrives"]), content)
        self.assertEqual((found["sent"], found["left-out"]), (False, []))
        self.assertEqual(self.network.arrived, [])

    async def test_wrong(self):
        """What could not be sent has no preview; nor has what would be done otherwise."""
        done = await self.run_command("send", "--preview", "-t", "news:alt.test")
        self.assertRefused(done, 69, "'news'")
        for option in (("--queue",), ("--wait",), ("-o", "file")):
            done = await self.run_command("send", "--preview", "-t", "drop", *option)
            self.assertRefused(done, 64, "--preview")


class InsistingTests(CommandCase):
    async def test_wait(self):
        """--wait tries again until the entry takes it."""
        intake = self.network.mix("mix1").intake
        intake.refusal = Refusal.FULL

        def relent(command):
            if b"trying again" in command.err:
                intake.refusal = None

        command = self.start_command(*HELLO, "-P", "mix1,*2,mix5", "--wait", watch=relent)
        done = await command.done
        self.assertEqual(done.code, 0, done.err)
        self.assertIn(
            "mix1 did not take it (its disk is full): trying again in 5 seconds", done.err
        )
        self.assertIn("handed over: this computer may be switched off\n", done.err)
        self.assertEqual(len(self.network.arrived), 1)
