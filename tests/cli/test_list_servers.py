"""``mixminion list-servers`` and ``mixminion update``."""

from __future__ import annotations

import json

from tests.cli.clients import CommandCase
from tests.client.network import reactor


class ListServersTests(CommandCase):
    """The network as people and programs see it."""

    async def test_table(self):
        """One line per server, by nickname, exits and family among them."""
        done = await self.run_command("list-servers")
        self.assertEqual((done.code, done.err), (0, "fetching the directory\n"))
        rows = [line.split() for line in done.out.splitlines()]
        self.assertEqual(rows[0], ["nickname", "address", "exits", "family", "flags"])
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
        """The same for programs."""
        done = await self.run_command("list-servers", "--json")
        first, *_, last = json.loads(done.out)
        mix = self.network.mixes[0]
        self.assertEqual(
            first,
            {
                "nickname": "mix1",
                "identity": mix.identity.hex(),
                "addresses": [mix.address],
                "exits": {},
                "family": "family-mix1",
                "jurisdiction": "",
                "software": "",
                "insecure": [],
                "flags": ["usable"],
            },
        )
        self.assertEqual(
            last["exits"], {"drop": {"max-message": 30_000}, "smtp": {"max-message": 24_000}}
        )


class UpdateTests(CommandCase):
    """Newer directories, and never an older one."""

    async def test_update(self):
        """What was fetched, for people and for programs."""
        done = await self.run_command("update")
        self.assertRegex(
            done.out,
            r"^The directory of \S+Z lists 5 servers; it is valid until \S+Z\.\n$",
        )
        done = await self.run_command("update", "--json")
        result = json.loads(done.out)
        self.assertEqual(sorted(result), ["servers", "valid-after", "valid-until"])

    async def test_never_back(self):
        """A directory older than the one that is kept is refused, and the kept one stays."""
        await self.run_command("update")
        self.network.sign(now=reactor.seconds() - 2000)
        done = await self.run_command("update")
        self.assertRefused(done, 69, "is older than the one of", "stays")
        done = await self.run_command("send", "-t", "drop")
        self.assertEqual(done.code, 0)
