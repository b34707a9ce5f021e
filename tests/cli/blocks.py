"""Commands for a network to whose last two mixes answers can come."""

from __future__ import annotations

import json

from mixminion.directory.parts import Exit
from tests.cli.clients import CommandCase

EXITS = (
    Exit(name="mailbox", module="mailbox", max_message=2**24),
    Exit(name="smtp", module="smtp", max_message=2**24),
)


class BlocksCase(CommandCase):
    def setUp(self):
        super().setUp()
        for mix in self.network.mixes[-2:]:
            mix.exits = EXITS
        self.network.sign()
        self.secret = self.secrets("secret", "correct horse")

    def secrets(self, name, text):
        path = self.folder / name
        path.write_text(f"{text}\n")
        path.chmod(0o600)
        return str(path)

    async def result(self, *arguments, **options):
        """What a command prints as JSON."""
        done = await self.run_command(*arguments, "--json", **options)
        self.assertEqual(done.code, 0, done.err)
        return json.loads(done.out)
