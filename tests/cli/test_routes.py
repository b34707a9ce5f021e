"""``mixminion entries``, ``import-server`` and ``ping``; paths that ``send`` is given."""

from __future__ import annotations

import json

from tests.cli.clients import CommandCase
from tests.client.network import DROP, SMTP, Mix, reactor

DATE = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"


class RouteCase(CommandCase):
    """A network of which servers can be shut."""

    def listen(self, host, factory):
        self.ports = getattr(self, "ports", {})
        port = reactor.listenTCP(0, factory, interface=host)
        self.ports[host] = port
        self.addCleanup(port.stopListening)
        return port.getHost().port

    async def shut(self, nickname):
        """Nothing listens there any more."""
        await self.ports[self.network.mix(nickname).host].stopListening()


class EntriesTests(RouteCase):
    """The servers that packets go to first."""

    async def test_list(self):
        """A table for people, everything for programs; it is the same each time."""
        done = await self.run_command("entries", "list")
        rows = [line.split() for line in done.out.splitlines()]
        self.assertEqual((done.code, rows[0]), (0, ["nickname", "use", "kept", "until"]))
        self.assertEqual([row[1] for row in rows[1:]], ["used", "used", "reserve", "reserve"])
        self.assertEqual(len({row[0] for row in rows[1:]}), 4)
        for row in rows[1:]:
            self.assertRegex(row[2], f"^{DATE}$")
        found = json.loads((await self.run_command("entries", "list", "--json")).out)
        self.assertEqual([each["nickname"] for each in found], [row[0] for row in rows[1:]])
        self.assertEqual(
            set(found[0]),
            {"nickname", "identity", "use", "since", "until", "absent-since", "silent-since"},
        )
        self.assertEqual(found[0]["identity"], self.network.mix(rows[1][0]).identity.hex())

    async def test_replace(self):
        """One or all, with a word of warning; names of nobody are refused."""
        before = json.loads((await self.run_command("entries", "list", "--json")).out)
        first = before[0]["nickname"]
        done = await self.run_command("entries", "replace", first, "--json")
        self.assertIn("do this seldom", done.err)
        after = json.loads(done.out)
        self.assertEqual(
            [each["nickname"] for each in after[:3]], [each["nickname"] for each in before[1:]]
        )
        self.assertRefused(
            await self.run_command("entries", "replace", "nobody"), 64, "no entry named 'nobody'"
        )
        done = await self.run_command("entries", "replace")
        self.assertEqual((done.code, len(done.out.splitlines())), (0, 5))

    async def test_silent(self):
        """One that took nothing is shown, and the message leaves by the other one."""
        found = json.loads((await self.run_command("entries", "list", "--json")).out)
        silent, other = (each["nickname"] for each in found[:2])
        await self.shut(silent)
        said = ""
        for _ in range(20):  # until it was drawn
            if "takes nothing now" in said:
                break
            done = await self.run_command("send", "-t", "drop", stdin=b"x")
            said = done.err
            self.assertEqual(done.code, 0, said)
            self.assertIn(f"handed to {other}", said)
        self.assertIn(f"{silent}, where your packet was to begin, takes nothing now", said)
        done = await self.run_command("entries", "list")
        self.assertRegex(done.out.splitlines()[1], f"^{silent} .* takes nothing since {DATE}$")


class ImportServerTests(CommandCase):
    """Servers from files."""

    def setUp(self):
        super().setUp()
        self.mix6 = Mix(self.network, 6, (DROP, SMTP))
        self.file = self.folder / "descriptor"
        now = int(reactor.seconds())
        self.file.write_bytes(self.mix6.published(now, self.network.parameters))

    async def test_import(self):
        """It is imported, shown, used where a path names it, and forgotten."""
        done = await self.run_command("import-server", str(self.file))
        self.assertRegex(
            done.out, f"^Imported mix6, until {DATE}: it is used where a path names it"
        )
        done = await self.run_command("import-server", "--list")
        head, row = done.out.splitlines()
        self.assertEqual(head.split(), ["nickname", "valid", "until", "addresses"])
        self.assertRegex(row, rf"^mix6 +{DATE}  {self.mix6.address}$")
        (found,) = json.loads((await self.run_command("import-server", "--list", "--json")).out)
        self.assertEqual((found["nickname"], found["exits"]), ("mix6", ["drop", "smtp"]))
        done = await self.run_command("send", "-v", "-t", "drop", "-P", "*3,mix6", stdin=b"x")
        self.assertIn("warning: mix6 is not in the directory", done.err)
        done = await self.run_command("import-server", "--remove", "MIX6")
        self.assertEqual((done.code, done.out), (0, ""))
        done = await self.run_command("import-server", "--list")
        self.assertEqual(done.out, "None were imported.\n")

    async def test_path_with_a_file(self):
        """A path may name the file itself."""
        done = await self.run_command(
            "send", "-v", "-t", "drop", "-P", f"*3,{self.file}", stdin=b"x"
        )
        self.assertIn("mix6", done.err)
        self.assertEqual(done.code, 0, done.err)

    async def test_listed(self):
        """Of a server that the directory has, the directory's word counts."""
        now = int(reactor.seconds())
        self.file.write_bytes(self.network.mixes[0].published(now, self.network.parameters))
        done = await self.run_command("import-server", str(self.file))
        self.assertIn("The directory lists mix1, too", done.out)

    async def test_wrong(self):
        """What is no descriptor; no file; two things at once, and nothing."""
        self.file.write_bytes(b"hello")
        done = await self.run_command("import-server", str(self.file))
        self.assertRefused(done, 65, "no descriptor")
        done = await self.run_command("import-server", "none")
        self.assertRefused(done, 65, "'none' cannot be read")
        done = await self.run_command("import-server", "--remove", "nobody")
        self.assertRefused(done, 64, "No server named 'nobody'")
        for arguments in ((), ("x", "--list"), ("--list", "--remove", "x")):
            done = await self.run_command("import-server", *arguments)
            self.assertRefused(done, 64, "Give files, or --list, or --remove NAME.")


class PingTests(RouteCase):
    """Whether a server answers."""

    async def test_answers(self):
        """With the time it took, and a note that it is not anonymous."""
        done = await self.run_command("ping", "mix2")
        self.assertRegex(done.out, rf"^{self.network.mix('mix2').address}  answers after \d+ ms\n$")
        self.assertIn("a ping is not anonymous: mix2", done.err)
        found = json.loads((await self.run_command("ping", "MIX2", "--json")).out)
        (address,) = found["addresses"]
        self.assertIsInstance(address.pop("milliseconds"), int)
        self.assertEqual(
            (found["anonymous"], address),
            (False, {"address": self.network.mix("mix2").address, "answers": True, "error": None}),
        )

    async def test_silent(self):
        """No connection: 69, and why."""
        await self.run_command("update")
        await self.shut("mix2")
        done = await self.run_command("ping", "mix2")
        self.assertEqual(done.code, 69)
        self.assertIn("does not answer (connection refused)\n", done.out)
        found = json.loads((await self.run_command("ping", "mix2", "--json")).out)
        self.assertEqual(found["addresses"][0]["error"], "dial-failed")

    async def test_unknown(self):
        """A name that nobody has."""
        self.assertRefused(await self.run_command("ping", "nobody"), 64, "no server named 'nobody'")


class PathTests(CommandCase):
    """What ``--path`` and the configuration's lists say, and what is said of them."""

    async def test_one_of(self):
        """One of several servers."""
        done = await self.run_command(
            "send", "-v", "-t", "drop", "-P", "mix1,*2,mix4|mix5", stdin=b"x"
        )
        self.assertRegex(done.err, r"chose a path of 4: mix1, mix\d, mix\d, mix[45]\n")

    async def test_lists(self):
        """Told of, and kept to; wrong ones are refused with the line."""
        self.configure("[Paths]\ndeny-exit = mix4, 10.0.0.0/8\ndeny = country:de, nobody\n")
        done = await self.run_command("send", "-v", "-t", "drop", stdin=b"x")
        self.assertRegex(done.err, r"chose a path of 4: .*, mix5\n")
        self.assertIn("make your paths differ from other people's", done.err)
        self.assertIn("'nobody'", done.err)
        self.configure("[Paths]\ndeny = country:germany\n")
        done = await self.run_command("send", "-t", "drop", stdin=b"x")
        self.assertRefused(done, 78, "deny", "country:de")
        self.configure("[Paths]\ndefault-path = *2,,bob\n")
        done = await self.run_command("send", "-t", "drop", stdin=b"x")
        self.assertRefused(done, 78, "a server's name, ?, *n or ~n at character 4")
