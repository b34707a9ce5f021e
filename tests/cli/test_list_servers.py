"""``mixminion list-servers`` and ``mixminion update``."""

from __future__ import annotations

import json

from mixminion.directory.parts import Rule
from tests.cli.clients import CommandCase
from tests.client.network import DROP, reactor


class ListServersTests(CommandCase):
    """The network as people and programs see it."""

    async def test_table(self):
        """One line per server, by nickname, exits and family among them."""
        done = await self.run_command("list-servers")
        self.assertEqual((done.code, done.err), (0, "fetching the directory\n"))
        rows = [line.split() for line in done.out.splitlines()]
        self.assertEqual(rows[0], ["nickname", "addresses", "exits", "family", "flags"])
        self.assertEqual(
            [" ".join(row) for row in rows[1:]],
            [
                f"{mix.nickname} {mix.address} {exits} family-{mix.nickname} usable"
                for mix, exits in zip(
                    self.network.mixes, ["-", "-", "-", "drop smtp", "drop smtp"], strict=True
                )
            ],
        )

    async def test_json(self):
        """The same for programs, with everything that is known of a server."""
        done = await self.run_command("list-servers", "--json")
        first, *_, last = json.loads(done.out)
        mix = self.network.mixes[0]
        self.assertRegex(first.pop("usable-from"), r"^20..-..-..T..:..:..Z$")
        self.assertRegex(first.pop("descriptor"), r"^[0-9a-f]{64}$")
        self.assertEqual(
            first,
            {
                "nickname": "mix1",
                "identity": mix.identity.hex(),
                "addresses": [mix.address],
                "protocols": ["mmtp/2"],
                "exits": {},
                "accepts": [],
                "dials": [],
                "family": "family-mix1",
                "jurisdiction": "",
                "software": "",
                "insecure": [],
                "flags": ["usable"],
                "usable": True,
                "reliability": None,
            },
        )
        self.assertEqual(
            last["exits"],
            {
                "drop": {
                    "module": "drop",
                    "max-message": 2**25,
                    "policy": {"fragments": 432_000},
                },
                "smtp": {"module": "smtp", "max-message": 24_000, "policy": {}},
            },
        )

    async def test_columns(self):
        """Any columns, in any order; the same members for programs."""
        done = await self.run_command("list-servers", "--columns", "usable, nickname,reliability")
        self.assertEqual(
            done.out.splitlines()[:3],
            ["usable  nickname  reliability", "yes     mix1      -", "yes     mix2      -"],
        )
        done = await self.run_command("list-servers", "--columns", "exits,nickname", "--json")
        self.assertEqual(json.loads(done.out)[0], {"exits": {}, "nickname": "mix1"})
        done = await self.run_command("list-servers", "--columns", "nickname,colour")
        self.assertRefused(done, 64, "'colour' is none of nickname, identity, addresses,")

    async def test_chosen(self):
        """Only servers with an exit, only those that paths use, and nobody."""
        mix1, mix4 = self.network.mix("mix1"), self.network.mix("mix4")
        mix4.exits = (DROP,)
        mix1.changes = {
            "insecure": ("x25519-links",),
            "accepts": (Rule(allow=True, network="192.0.2.0/24"),),
        }
        self.network.sign(reactor.seconds() - 500)

        async def names(*arguments):
            done = await self.run_command(
                "list-servers", "--columns", "nickname,flags,accepts", *arguments
            )
            self.assertEqual(done.code, 0, done.err)
            return [" ".join(line.split()) for line in done.out.splitlines()[1:]], done.err

        self.assertEqual((await names("--exit", "smtp"))[0], ["mix5 usable -"])
        self.assertEqual(
            (await names())[0][0], "mix1 usable insecure:x25519-links allow:192.0.2.0/24"
        )
        self.assertEqual((await names("--usable"))[0], [f"mix{n} usable -" for n in (2, 3, 4, 5)])
        found, said = await names("--exit", "news", "--usable")
        self.assertEqual((found, said), ([], "no server is like that\n"))


class UpdateTests(CommandCase):
    """Newer directories, and never an older one."""

    async def test_update(self):
        """What happens while it is fetched, and what was, for people and for programs."""
        done = await self.run_command("update")
        self.assertRegex(
            done.out,
            r"^The directory of \S+Z lists 5 servers; it is valid until \S+Z\.\n$",
        )
        *asked, one, other = done.err.splitlines()
        self.assertRegex(asked[0], r"^https://127\.[12]\.0\.1:\d+/ served the consensus$")
        self.assertTrue(all(line.endswith(" served the key document") for line in asked[1:]))
        for line in (one, other):
            self.assertRegex(line, r"^https://127\.\d\.0\.1:\d+/ has the same directory$")
        done = await self.run_command("update", "--json")
        result = json.loads(done.out)
        self.assertEqual(sorted(result), ["fetched", "servers", "valid-after", "valid-until"])

    async def test_quiet(self):
        """Nothing but what is wrong, as cron likes it."""
        done = await self.run_command("update", "--quiet")
        self.assertEqual((done.code, done.out, done.err), (0, "", ""))
        self.network.sign(now=reactor.seconds() - 2000)
        done = await self.run_command("update", "--quiet")
        self.assertRefused(done, 69, "is older than the one of")

    async def test_if_due(self):
        """Only when it is time, which it is at first and not at once again."""
        done = await self.run_command("update", "--if-due", "-q")
        self.assertEqual((done.code, done.out, done.err), (0, "", ""))
        done = await self.run_command("update", "--if-due")
        self.assertEqual((done.code, done.out, done.err), (0, "No fetch is due yet.\n", ""))
        done = await self.run_command("update", "--if-due", "--json")
        self.assertEqual(json.loads(done.out), {"fetched": False})

    async def test_never_back(self):
        """A directory older than the one that is kept is refused, and the kept one stays."""
        await self.run_command("update")
        self.network.sign(now=reactor.seconds() - 2000)
        done = await self.run_command("update")
        self.assertRefused(done, 69, "is older than the one of", "stays")
        done = await self.run_command("send", "-t", "drop")
        self.assertEqual(done.code, 0)
