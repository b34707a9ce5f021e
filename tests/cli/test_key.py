"""``mixminion key``, and ``send --encrypt``, as processes."""

from __future__ import annotations

import json

from mixminion.client import opening
from mixminion.client.key_sources import name_of
from mixminion.client.keys import fingerprint, text_of
from mixminion.crypto import kem
from mixminion.directory.parts import Exit
from mixminion.payload import public_key, sealed
from tests.cli.clients import CommandCase
from tests.client.network import DROP

ALICE = "alice@example.org"
SEED, ONE = kem.generate()
TWO = kem.generate()[1]


class KeyTests(CommandCase):
    def setUp(self):
        super().setUp()
        self.shelf = self.folder / "shelf"
        self.shelf.mkdir()
        self.configure(f"[Keys]\nsources = friends={self.shelf}\n")

    def file(self, public, name="alice.key", address=ALICE):
        path = self.folder / name
        path.write_text(text_of(public, address=address))
        return str(path)

    async def key(self, *arguments, **options):
        done = await self.run_command("key", *arguments, **options)
        self.assertEqual(done.code, 0, done.err)
        return done

    async def test_add(self):
        """From a file and from standard input; listed, shown, and as JSON."""
        done = await self.key("list")
        self.assertEqual(done.out, "There is no key.\n")
        done = await self.key("add", self.file(ONE))
        self.assertRegex(done.out, rf"\A{ALICE}: not verified, from a file, since 20\S+Z\n")
        self.assertIn(f"\n  {fingerprint(ONE)}\n", done.out)
        self.assertIn("mixminion key verify", done.err)
        done = await self.key(
            "add", "-", "--address", "mbox:bob", "--json", stdin=text_of(TWO).encode()
        )
        data = json.loads(done.out)
        self.assertEqual((data["address"], data["fingerprint"]), ("mbox:bob", fingerprint(TWO)))
        self.assertEqual((data["origin"], data["verified"], data["other"]), ("file", False, None))
        done = await self.key("list")
        self.assertEqual(done.out.count("not verified"), 2)
        done = await self.key("list", "--json")
        self.assertEqual([each["address"] for each in json.loads(done.out)], [ALICE, "mbox:bob"])
        done = await self.key("show", "Alice@Example.org")
        self.assertEqual(public_key.find(done.out.encode()), [(ONE, ALICE)])
        done = await self.key("show", ALICE, "--json")
        self.assertEqual(public_key.find(json.loads(done.out)["key"].encode()), [(ONE, ALICE)])
        done = await self.key("fingerprint", ALICE)
        self.assertEqual(done.out, f"{fingerprint(ONE)}\n")
        done = await self.key("delete", ALICE, "--json")
        self.assertEqual(json.loads(done.out), {"deleted": True})
        self.assertRefused(await self.run_command("key", "show", ALICE), 64, ALICE, "key find")

    async def test_change(self):
        """Another key is refused with both fingerprints, until somebody trusts it."""
        await self.key("add", self.file(ONE))
        done = await self.run_command("key", "add", self.file(TWO))
        self.assertEqual((done.code, done.out), (65, ""))
        self.assertIn(fingerprint(ONE), done.err)
        self.assertIn(fingerprint(TWO), done.err)
        done = await self.key("show", ALICE, "--json")
        other = json.loads(done.out)["other"]
        self.assertEqual((other["fingerprint"], other["origin"]), (fingerprint(TWO), "file"))
        done = await self.key("list")
        self.assertIn("is not trusted:\n  " + fingerprint(TWO), done.out)
        done = await self.key("verify", ALICE, *fingerprint(ONE).split())
        self.assertIn(f"{ALICE}: verified", done.out)
        self.assertRefused(await self.run_command("key", "trust", ALICE), 77, "key trust")
        done = await self.run_command("key", "verify", ALICE, fingerprint(TWO))
        self.assertEqual((done.code, done.out), (65, ""))
        done = await self.key("trust", ALICE, fingerprint(TWO).replace(" ", ""), "--json")
        data = json.loads(done.out)
        self.assertEqual(
            (data["fingerprint"], data["verified"], data["other"]), (fingerprint(TWO), True, None)
        )
        self.assertRefused(await self.run_command("key", "trust", ALICE), 64, "No other key")

    async def test_find(self):
        """At the sources that the configuration names; and that some learn of it."""
        done = await self.run_command("key", "find", ALICE)
        self.assertIn(f"asking the source friends ({self.shelf})\n", done.err)
        self.assertRefused(done, 65, "friends", ALICE)
        done = await self.run_command("key", "find", ALICE, "--source", "web")
        self.assertRefused(done, 64, "web", "friends")
        done = await self.key("file-name", "ALICE@example.org")
        self.assertEqual(done.out, name_of(ALICE) + ".key\n")
        (self.shelf / done.out.strip()).write_text(text_of(ONE))
        done = await self.key("find", ALICE)
        self.assertIn("not verified, from the source friends", done.out)
        self.configure("[Keys]\nsources = web=http://127.0.0.1:1/{hash}\n")
        done = await self.run_command("key", "find", ALICE)
        self.assertIn("whoever runs it learns whose key you want", done.err)
        self.assertIn("without https", done.err)
        self.assertRefused(done, 69, "The source web", "no connection")
        self.configure()
        self.assertRefused(await self.run_command("key", "find", ALICE), 64, "[Keys]")

    async def test_own(self):
        """What one identity exports another home adds; its fingerprint is the same."""
        done = await self.key("export", "--name", "Alice", "--address", ALICE)
        [(public, address)] = public_key.find(done.out.encode())
        self.assertEqual(address, ALICE)
        self.assertIn(fingerprint(public), done.err)
        self.assertEqual((await self.key("fingerprint")).out, f"{fingerprint(public)}\n")
        out = self.folder / "mine.key"
        done = await self.key("export", "-o", str(out), "--json")
        self.assertEqual(json.loads(done.out)["fingerprint"], fingerprint(public))
        self.assertEqual(public_key.find(out.read_bytes()), [(public, None)])
        done = await self.key("add", str(out), "--address", ALICE)
        self.assertIn(fingerprint(public), done.out)
        done = await self.run_command("key", "export", "--identity", "nobody")
        self.assertRefused(done, 64, "nobody")
        done = await self.run_command("key", "export", "--name", "two\nlines")
        self.assertRefused(done, 64, "one line")

    async def test_wrong(self):
        """What cannot be, in one sentence each."""
        (self.folder / "none").write_text("no key")
        self.file(ONE, "anonymous.key", None)
        for arguments, code, part in (
            (("add", str(self.folder / "absent")), 65, "absent"),
            (("add", str(self.folder / "none")), 65, "no key"),
            (("add", str(self.folder / "anonymous.key")), 64, "--address"),
            (("add", self.file(ONE), "--address", "alice"), 64, "alice"),
            (("add", self.file(ONE), "--address", "drop"), 64, "one recipient"),
            (("verify", ALICE, "yes"), 64, "64 hexadecimal digits"),
            (("verify", ALICE, fingerprint(ONE)), 64, "no key"),
            (("fingerprint", ALICE, "--identity", "x"), 64, "not both"),
        ):
            self.assertRefused(await self.run_command("key", *arguments), code, part)


class SendTests(CommandCase):
    def setUp(self):
        super().setUp()
        for mix in self.network.mixes[-2:]:
            mix.exits = (DROP, Exit(name="smtp", module="smtp", max_message=2**20))
        self.network.sign()

    async def test_encrypt(self):
        """To the key that is trusted; which one it is is said, and that it was not compared."""
        done = await self.run_command("send", "-t", ALICE, "--encrypt", stdin=b"Hello\n")
        self.assertRefused(done, 64, "no key", "key add")
        path = self.folder / "alice.key"
        path.write_text(text_of(ONE, address=ALICE))
        await self.run_command("key", "add", str(path))
        done = await self.run_command(
            "send", "-t", ALICE, "-s", "Hi", "--encrypt", stdin=b"Hello\n"
        )
        self.assertEqual(done.code, 0, done.err)
        self.assertIn(f"encrypted to {ALICE}, not verified: {fingerprint(ONE)}\n", done.err)
        done = await self.run_command(
            "send", "-t", "drop", "--encrypt-to", str(path), stdin=b"Hello\n"
        )
        self.assertEqual(done.code, 0, done.err)
        self.assertIn("encrypted to the key that was given: ", done.err)
        found = [self.network.open(packet)[2] for packet in self.network.arrived]
        for _, _, content in found:
            [octets] = opening.find(content)
            self.assertIn(b"Hello", sealed.open(SEED, octets).content)
        self.assertEqual(len(found), 2)

    async def test_wrong(self):
        """No key in the file, several recipients."""
        path = self.folder / "none"
        path.write_text("no key")
        done = await self.run_command("send", "-t", ALICE, "--encrypt-to", str(path), stdin=b"x")
        self.assertRefused(done, 65, "no key")
        path.write_text(text_of(ONE))
        done = await self.run_command(
            "send", "-t", ALICE, "--cc", "b@example.org", "--encrypt-to", str(path), stdin=b"x"
        )
        self.assertRefused(done, 64, "one recipient")
        self.assertEqual(self.network.arrived, [])
